from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID

from playwright.sync_api import expect

from tests.store.judge import Program

if TYPE_CHECKING:
    from tests.browser.conftest import Office
    from tests.browser.shown import Shown


def test_what_is_typed_stands_in_the_database(desktop: Shown, desks: Office) -> None:
    """Title, notes and tags as typed, also odd ones; what is not touched stays."""
    recording_id = desks.meeting.recording_id
    desktop.open(recording_id)
    title = "Budget <b>& plans</b> '); DROP TABLE x; --"
    desktop["#edit-title"].fill(title)
    desktop["#edit-notes"].fill("first line\nsecond line \N{SNOWMAN}")
    desktop["#edit-tags"].fill("kind=meeting\nroom=4\nplace=hall 7")
    desktop["#edit-save"].click()
    expect(desktop["#recording-title"]).to_have_text(title)

    judge = Program(desks.url)
    where = f"FROM phono_recording WHERE id = '{recording_id.hex}'"
    assert judge.value(f"SELECT title {where}") == title
    assert (
        judge.value(f"SELECT replace(notes, char(10), '|') {where}") == "first line|second line \N{SNOWMAN}"
    )
    assert json.loads(judge.value(f"SELECT tags {where}")) == {
        "kind": "meeting",
        "room": 4,
        "place": "hall 7",
    }

    desktop.page.reload()
    desktop.wait_for(recording_id)
    expect(desktop["#edit-title"]).to_have_value(title)
    expect(desktop["#recording-title"]).to_have_text(title)


def test_what_is_not_touched_stays(desktop: Shown, desks: Office) -> None:
    """Saving a title leaves notes and tags as they are: also a tag whose text looks like a number."""
    judge = Program(desks.url)
    recording_id = judge.value("SELECT id FROM phono_recording WHERE title = 'Early call'")
    where = f"FROM phono_recording WHERE id = '{recording_id}'"
    tags = '{"line": "12", "rate": 1.5}'
    judge.run_script(
        f"UPDATE phono_recording SET tags = '{tags}', notes = 'kept' WHERE id = '{recording_id}'"
    )
    desktop.open(UUID(recording_id))
    desktop["#edit-title"].fill("Earlier call")
    desktop["#edit-save"].click()
    expect(desktop["#recording-title"]).to_have_text("Earlier call")

    assert judge.value(f"SELECT title || notes {where}") == "Earlier callkept"
    assert json.loads(judge.value(f"SELECT tags {where}")) == {"line": "12", "rate": 1.5}


def test_what_others_changed_meanwhile_stays(desktop: Shown, desks: Office) -> None:
    """Only what was changed here is saved: of what somebody else wrote nothing is lost."""
    judge = Program(desks.url)
    recording_id = judge.value("SELECT id FROM phono_recording WHERE title LIKE 'Earl%'")
    where = f"FROM phono_recording WHERE id = '{recording_id}'"
    desktop.open(UUID(recording_id))
    desktop["#edit-tags"].fill("line=7\nrate=1.5")
    there = desktop.page.request.patch(
        f"{desks.address}/api/recordings/{recording_id}",
        data={"notes": "from elsewhere", "tags": {"queue": "billing"}},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert there.ok, there.text()
    desktop["#edit-save"].click()
    expect(desktop["#status"]).to_have_text("Saved.")
    assert judge.value(f"SELECT notes {where}") == "from elsewhere"
    tags = json.loads(judge.value(f"SELECT tags {where}"))
    assert (tags["line"], tags["queue"]) == (7, "billing")
    expect(desktop["#edit-notes"]).to_have_value("from elsewhere")

    desktop["#edit-save"].click()
    expect(desktop["#status"]).to_have_text("Nothing is to be saved.")


def test_what_is_not_saved_yet_is_kept(desktop: Shown, desks: Office) -> None:
    """While another recording is open, and while the page is loaded anew, until it is saved or taken back."""
    desktop.open(desks.meeting.recording_id)
    before = desktop["#edit-notes"].input_value()
    desktop["#edit-notes"].fill("half a thought")
    expect(desktop["#edit-unsaved"]).to_be_visible()
    other = desktop[f'#results a:not([data-recording-id="{desks.meeting.recording_id.hex}"])'].first
    other.click()
    expect(desktop["#edit-notes"]).not_to_have_value("half a thought")
    expect(desktop["#edit-unsaved"]).to_be_hidden()
    desktop.page.go_back()
    desktop.wait_for(desks.meeting.recording_id)
    expect(desktop["#edit-notes"]).to_have_value("half a thought")
    desktop.page.reload()
    desktop.wait_for(desks.meeting.recording_id)
    expect(desktop["#edit-notes"]).to_have_value("half a thought")
    expect(desktop["#edit-unsaved"]).to_be_visible()
    desktop["#edit-notes"].fill(before)
    expect(desktop["#edit-unsaved"]).to_be_hidden()
    desktop.page.reload()
    desktop.wait_for(desks.meeting.recording_id)
    expect(desktop["#edit-notes"]).to_have_value(before)

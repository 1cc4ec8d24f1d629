from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from phonobase import Archive
from tests.cli.program import Program
from tests.store.judge import random_pcm

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RATE = 8000
CALLS: list[tuple[str, str, dict[str, Any], bytes]] = [
    ("first", "desk", {"queue": "billing"}, random_pcm(RATE, 1, "int16")),
    ("Zweite Größe", "desk", {"queue": "sales", "caller": {"vip": True}}, bytes(2 * 2 * RATE)),
    ("third", "o'door", {}, b"\x00\x10" * 3 * RATE),
    ("fourth", "desk", {"queue": "billing", "n": 1}, b"\xff\x7f" * RATE),
]

FINDS: list[tuple[tuple[str, ...], list[int]]] = [
    (("--text", "GRÖSSE"), []),
    (("--text", "größE"), [1]),
    (("--text", "%"), [2]),
    (("--tag", "queue=billing"), [3, 0]),
    (("--tags", '{"queue": "billing", "n": 1.0}'), [3]),
    (("--tags", '{"caller": {"vip": true}}'), [1]),
    (("--tags", '{"queue": "billing"}', "--tag", "queue=billing"), [3, 0]),
    (("--tags", "{}"), [3, 2, 1, 0]),
    (("--level", "clipped"), [3, 0]),
    (("--level", "silent"), [1]),
    (("--level", "loud", "--source", "desk"), [3, 0]),
    (("--max-peak", "-6"), [2, 1]),
    (("--min-peak", "-24.1", "--max-peak", "-6"), [2]),
    (("--min-duration", "2s"), [2, 1]),
    (("--max-duration", "1", "--external-id", "case-3"), [3]),
    (("--at", "2026-03-01T12:01:01.999999Z"), [1]),
    (("--at", "2026-03-01T12:01:02Z"), []),
    (("--from", "2026-03-01T12:00:00.999999Z", "--to", "2026-03-01T12:02:00Z"), [1, 0]),
    (("--from", "2026-03-01T12:02:02.999Z"), [3, 2]),
    (("--annotation", "speech", "--min-score", "0.2"), [3, 2]),
    (("--annotation-text", "HELLO 1"), [1]),
    (("--annotation", "note"), []),
    (("--external-id", "x' OR '1'='1"), []),
    (("--since", "2999-01-01"), []),
    (("--from", "2999-01-01", "--to", "2999-01-02"), []),
]


@pytest.fixture
def calls(phonobase_on_both: Program) -> Program:
    """The program on an archive of four calls, a minute apart."""
    with Archive(phonobase_on_both.url) as archive:
        for number, (title, source, tags, pcm) in enumerate(CALLS):
            recording = archive.add(
                pcm,
                RATE,
                source=source,
                title=title,
                tags=tags,
                started_at=NOON + number * timedelta(minutes=1),
                external_id=f"case-{number}",
                notes="100%" if number == 2 else None,
            )
            archive.annotate(recording.id, 0, 10, "speech", f"hello {number}", number / 10, author="t")
    return phonobase_on_both


@pytest.fixture
def recorded_twice(migrated_sqlite_url: str, folder: Path) -> Program:
    """The program on an archive with a recording of each of two sources."""
    with Archive(migrated_sqlite_url) as archive:
        for source in ("desk", "o'door"):
            archive.add(bytes(16), RATE, source=source)
    return Program(migrated_sqlite_url, folder)


def test_list_finds(calls: Program) -> None:
    """Each option narrows the list down to what meets it, on both databases."""
    for options, found in FINDS:
        listed = calls("list", "--json", *options).ok().json
        assert [recording["title"] for recording in listed] == [CALLS[number][0] for number in found], options


def test_list_goes_on(calls: Program) -> None:
    """A page says how to get the next one, in a line that is no part of the result; the last one does not."""
    first = calls("list", "--limit", "3").ok()
    place = re.fullmatch(r"the first 3; for more: --after (\S+)\n", first.err)
    assert place is not None

    rest = calls("list", "--limit", "3", "--after", place[1]).ok()

    assert [line.split()[-1] for line in first.text.splitlines()[1:]] == ["fourth", "third", "Größe"]
    assert [line.split()[-1] for line in rest.text.splitlines()[1:]] == ["first"]
    assert rest.err == ""


def test_a_program_lists_page_after_page(calls: Program) -> None:
    """Each recording in the JSON says where the list goes on behind it."""
    everything = calls("list", "--json").ok().json
    for number, one in enumerate(everything):
        rest = calls("list", "--json", "--after", one["cursor"]).ok().json
        assert rest == everything[number + 1 :]


def test_a_tag_is_a_text(calls: Program) -> None:
    """A number is found as JSON, not as the text of its digits; the help says so."""
    assert calls("list", "--json", "--tag", "n=1").ok().json == []
    assert len(calls("list", "--json", "--tags", '{"n": 1}').ok().json) == 1
    assert "Numbers are found by" in calls("list", "--help").ok().text


def test_a_run_is_listed_by_its_id(calls: Program) -> None:
    """The id of a run is taken as JSON shows it."""
    run = calls("list", "--json", "--limit", "1").ok().json[0]["run_id"]

    assert [recording["title"] for recording in calls("list", "--run", run, "--json").ok().json] == ["fourth"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--tags", "queue=billing"), "'queue=billing' is no JSON object"),
        (("--tags", "[1]"), "'[1]' is no JSON object"),
        (("--tags", '{"a": NaN}'), "tags must be names with JSON values"),
        (("--tags", "{" * 100_000), "is no JSON object"),
        (("--tags", "[" * 100_000), "is no JSON object"),
        (("--tags", '{"a": "\\u0000"}'), "tags hold a character"),
        (("--tags", '{"a": "\\ud800"}'), "tags hold a character"),
        (("--tags", '{"a": 1}', "--tag", "a=2"), "the tag 'a' cannot be both 1 and '2'"),
        (("--tag", "a=1", "--tag", "a=2"), "the tag 'a' cannot be both '1' and '2'"),
        (("--tag", "noequals"), "'noequals' is no tag"),
        (("--text", ""), "the text to look for has 0 characters"),
        (("--text", "x" * 201), "the text to look for has 201 characters"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "is more than --until 2026-03-01 00:00:00"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "--from 2026-03-02 00:00:00"),
        (("--at", "noon"), "'noon' is no time"),
        (
            ("--min-duration", "2", "--max-duration", "1"),
            "--min-duration 2 s is more than --max-duration 1 s",
        ),
        (("--min-peak", "-6", "--max-peak=-12.5"), "--min-peak -6 dBFS is more than --max-peak -12.5 dBFS"),
        (("--min-duration=-1",), "'-1' is no duration"),
        (("--min-peak", "nan"), "min_peak_dbfs is not a number"),
        (("--min-peak", "loud"), "'loud' is not a valid float"),
        (("--level", "noisy"), "'noisy' is not one of"),
        (("--run", "x"), "'x' is no run"),
        (("--after", "x"), "'x' is no place in a list"),
        (("--limit", "0"), "0 is not in the range"),
        (("--source", "nobody"), "no source 'nobody'; there are: desk, o'door"),
        (("--source", "'; DROP TABLE phono_recording; --"), "no source"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_found_is_said(recorded_twice: Program, options: tuple[str, ...], reason: str) -> None:
    """A question that means nothing is refused in one line, and leaves no file."""
    for command in (("list",), ("dataset", "-o", "x.parquet")):
        recorded_twice(*command, *options).refused(reason)

    assert list(recorded_twice.folder.iterdir()) == []


def test_edit_changes_what_it_names(calls: Program) -> None:
    """Title, notes, external id and single tags are changed; the rest stays."""
    calls("edit", "last", "--title", "4th ✓", "--tag", "n=2", "--untag", "queue", "--notes", "x").ok()
    calls("edit", "last", "--external-id", "").ok()

    told = calls("show", "last", "--json").ok().json
    assert (told["title"], told["notes"], told["external_id"]) == ("4th ✓", "x", None)
    assert told["tags"] == {"n": "2"}
    assert calls("verify", "last").ok().code == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("last",), "nothing is to be changed"),
        (("0000", "--title", "x"), "no recording has an id that ends in '0000'"),
        (("last", "--tag", "noequals"), "'noequals' is no tag"),
        (("last", "--external-id", "x" * 501), "at most 500 characters"),
        (("last", "--title", "x" * 1_001), "at most 1000 characters"),
        (("last", "--tag", "a=" + "x" * 65_536), "at most 65536 are kept"),
        (("last", "--title", "\udc80"), "the title holds a character"),
        ((), "Missing argument 'ID'"),
    ],
)
def test_what_cannot_be_edited_is_said(
    recorded_twice: Program, arguments: tuple[str, ...], reason: str
) -> None:
    """An edit that means nothing is refused in one line and changes nothing."""
    before = recorded_twice.recordings()

    recorded_twice("edit", *arguments).refused(reason)

    assert recorded_twice.recordings() == before


def test_a_dataset_of_what_is_found(calls: Program) -> None:
    """The recordings that meet the options go into a file with their sound; it is not overwritten unasked."""
    said = calls("dataset", "-o", "billing.parquet", "--tag", "queue=billing").ok()

    assert said.err == "2 rows -> billing.parquet\n"
    rows = pq.read_table(calls.folder / "billing.parquet").to_pylist()
    assert [row["title"] for row in rows] == ["fourth", "first"]
    frames, rate = soundfile.read(io.BytesIO(rows[1]["audio"]["bytes"]), dtype="int16")
    assert (frames.astype("<i2").tobytes(), rate) == (CALLS[0][3], RATE)
    calls("dataset", "-o", "billing.parquet").refused("billing.parquet is there already", "--force")
    calls("dataset", "-o", "billing.parquet", "--clip", "0.5", "--force", "--source", "o'door").ok()
    clips = pq.read_table(calls.folder / "billing.parquet").to_pylist()
    heard = [soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")[0] for row in clips]
    assert len(clips) == 6
    assert np.concatenate(heard).tobytes() == CALLS[2][3]
    assert [path.name for path in calls.folder.iterdir()] == ["billing.parquet"]

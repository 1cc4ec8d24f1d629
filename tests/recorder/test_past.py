"""What a recorder makes of what an earlier one left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from phonobase import Archive
from phonobase.errors import DatabaseUnavailable
from phonobase.recorder.past import unheard_since
from phonobase.recorder.room import Room
from phonobase.store.columns import from_us, to_us
from tests.service.statuses import NOW_US, SECOND_US, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phonobase.recorder.state import SourceStatus

PAUSED_US = NOW_US - 60 * SECOND_US


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive in which nothing is accounted for."""
    with Archive(f"sqlite:///{tmp_path / 'a.db'}") as opened:
        yield opened


def _paused(**changes: Any) -> SourceStatus:  # noqa: ANN401 - fields of any type
    usual: dict[str, Any] = {"state": "paused", "started_us": PAUSED_US, "heard_until_us": NOW_US - SECOND_US}
    return said(**usual | changes)


def _listed(archive: Archive) -> list[tuple[str, int, int, str | None]]:
    return [
        (gap.cause, to_us(gap.started_at), to_us(gap.ended_at), gap.detail) for gap in archive.gaps("desk")
    ]


@pytest.mark.parametrize("reason", ["caf\udce9", "a\0b", "a\nb\ud800"])
def test_a_reason_that_no_database_takes(archive: Archive, reason: str) -> None:
    """What cannot be stored of a reason is left out; it does not keep the recorder from starting."""
    unheard = unheard_since(archive, "desk", _paused(detail=reason), NOW_US)

    ((cause, start_us, end_us, detail),) = _listed(archive)
    assert (cause, start_us, end_us) == ("paused", PAUSED_US, NOW_US - SECOND_US)
    assert detail is not None
    assert detail.isprintable()
    assert unheard is not None
    assert unheard.since_us == NOW_US - SECOND_US


@pytest.mark.parametrize("state", ["paused", "device-lost"])
def test_a_status_from_the_future(archive: Archive, state: str) -> None:
    """What a recorder said with a clock that was wrong lists nothing that is still to come."""
    tomorrow_us = NOW_US + 86_400 * SECOND_US
    status = _paused(state=state, heard_until_us=tomorrow_us, updated_us=tomorrow_us)

    unheard = unheard_since(archive, "desk", status, NOW_US)

    assert [(cause, end_us) for cause, _, end_us, _ in _listed(archive)] == [(state, NOW_US)]
    assert unheard is not None
    assert unheard.since_us == NOW_US


def test_a_start_in_the_future(archive: Archive) -> None:
    """A recorder that says that it will start tomorrow leaves nothing to list."""
    tomorrow_us = NOW_US + 86_400 * SECOND_US
    status = _paused(started_us=tomorrow_us, heard_until_us=tomorrow_us)

    unheard = unheard_since(archive, "desk", status, NOW_US)

    assert _listed(archive) == []
    assert unheard is not None
    assert unheard.since_us == NOW_US


def test_the_time_is_the_systems(archive: Archive) -> None:
    """Where nobody says what time it is, nothing is listed beyond what the system says."""
    unheard = unheard_since(archive, "desk", _paused(started_us=0, heard_until_us=200_000 * NOW_US // 1000))

    ((_, _, end_us, _),) = _listed(archive)
    assert end_us < 200 * NOW_US
    assert unheard is not None
    assert from_us(unheard.since_us).year < 9999


def test_the_file_of_an_archive_is_gone(archive: Archive) -> None:
    """That the file was removed is said, and no empty one is put in its place."""
    room = Room(archive, 0)
    room.measure()
    room.measure()
    path = archive.path
    assert path is not None

    path.rename(path.with_name("moved.db"))
    with pytest.raises(DatabaseUnavailable, match="removed or replaced while it was recorded into"):
        room.measure()
    assert not path.exists()

    path.write_bytes(path.with_name("moved.db").read_bytes())
    with pytest.raises(DatabaseUnavailable, match="another file than before"):
        room.measure()
    path.with_name("moved.db").replace(path)
    room.measure()

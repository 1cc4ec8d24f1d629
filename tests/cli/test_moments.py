from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import pytest

from phonobase.cli.options import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clocks of a place that sets them in spring and autumn."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-03-29T01:59:59", datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)),
        ("2026-03-29T03:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-10-25T01:59", datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        ("2026-10-25T02:30+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2026-10-25T03:00", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
    ],
)
def test_a_time_beside_a_change_of_the_clocks(typed: str, meant: datetime) -> None:
    """A local time is the moment that the clocks of that day showed it at."""
    assert Moment().convert(typed, None, None) == meant


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize(
    ("typed", "often", "either"),
    [
        ("2026-10-25T02:30", "twice", "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
        ("2026-03-29T02:30", "never", "2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00"),
    ],
)
def test_a_time_that_the_clocks_show_twice_or_never(typed: str, often: str, either: str) -> None:
    """A local time that is two moments, or none, is refused with what to write instead."""
    with pytest.raises(click.BadParameter) as caught:
        Moment().convert(typed, None, None)

    shown = typed.replace("T", " ")
    expected = f"{shown}:00 comes {often} here, where clocks are set; write {either}"
    assert caught.value.message == expected

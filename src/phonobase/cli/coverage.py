"""``phonobase coverage``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from phonobase.cli.options import Moment, Settings, json_option, pass_settings
from phonobase.cli.output import duration, note, print_json, print_table, printable
from phonobase.cli.period import day_so_far, known
from phonobase.store.coverage import Coverage

_US = 1_000_000


@click.command("coverage")
@click.option("--source", help="Only of this source.")
@click.option("--since", type=Moment(), help="From when on.  [default: that day's midnight]")
@click.option("--until", type=Moment(), help="Until when.  [default, and at most: now]")
@json_option
@pass_settings
def command(
    settings: Settings,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Say how much of a period was heard, and how much was lost, and why.

    The day so far, unless a period is given. Heard and lost add up to it exactly: what no recording and no
    gap accounts for is "unrecorded", and sound that is not committed yet is among it.
    """
    begin, end = day_so_far(since, until)
    with settings.archive() as archive:
        found = [archive.coverage(name, begin, end) for name in known(archive, source)]
    if as_json:
        print_json([_plain(each) for each in found])
    elif not found:
        note("no sources yet")
    else:
        print_table(
            ["source", "asked", "heard", "lost", "of which"],
            [_row(each) for each in found],
            numbers=(1, 2, 3),
        )


def _row(found: Coverage) -> list[str]:
    lost = sorted(found.lost_us.items(), key=lambda item: -item[1])
    return [
        printable(found.source),
        _time(found.asked_us),
        _time(found.heard_us),
        _time(sum(found.lost_us.values())),
        ", ".join(f"{printable(cause)} {_time(us)}" for cause, us in lost),
    ]


def _time(us: int) -> str:
    return duration(us / _US)


def _plain(found: Coverage) -> dict[str, Any]:
    return {
        "source": found.source,
        "since": found.since,
        "until": found.until,
        "asked_us": found.asked_us,
        "heard_us": found.heard_us,
        "lost_us": dict(found.lost_us),
    }

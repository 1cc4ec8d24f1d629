"""``phonobase status``."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.engine import URL

from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.cli.options import Settings, json_option, pass_settings
from phonobase.cli.output import note, print_json, print_table, printable, size
from phonobase.cli.place import find_place, service_option, spool_option
from phonobase.errors import RecorderError, StoreError
from phonobase.service.health import HEARING, examine
from phonobase.store.archive import Archive
from phonobase.store.columns import from_us

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phonobase.cli.place import Place
    from phonobase.recorder.state import SourceStatus
    from phonobase.service.health import Health, SourceHealth

_HEADS = ("SOURCE", "STATE", "FOR", "HEARD", "LEVEL", "COMMITTED", "DRIFT", "GAPS TODAY")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


@click.command("status")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@service_option
@spool_option
@json_option
@click.option("--metrics", is_flag=True, help="Print what Prometheus would get.")
@click.option("--forget", metavar="SOURCE", help="Say no more of a source that is recorded no more.")
@pass_settings
@click.pass_context
def command(
    context: click.Context,
    settings: Settings,
    sources: tuple[str, ...],
    service: Path | None,
    spool: Path | None,
    *,
    as_json: bool,
    metrics: bool,
    forget: str | None,
) -> None:
    """Show whether the recorders of this machine do what they are there for; exit with 1 where one does not.

    A source is well while its frames arrive, and while somebody paused it. It is not where its recorder is
    dead or stuck, its device is lost, only zeros come, or nothing can be stored. Sources that are named, or
    stand in the service's file, must be recorded; others may have been stopped.
    """
    place = find_place(settings, service, spool)
    if place.state.path.exists() and not os.access(place.state.path, os.R_OK | os.X_OK):
        raise RecorderError(f"{place.state.path} cannot be read; ask as the user that records")
    if forget is not None:
        if not place.state.forget(forget):
            raise RecorderError(f"nothing is known of {forget!r} beside {place.local}")
        return
    expected = sources or place.sources
    health = examine(place.state, SYSTEM_CLOCK.wall_us(), expected=expected, forwarding=place.forwarding)
    if metrics:
        # Here, because every recorder starts this program, and must start fast.
        from phonobase.service.metrics import RecorderMetrics  # noqa: PLC0415

        collector = RecorderMetrics(place.state, SYSTEM_CLOCK, expected=expected, forwarding=place.forwarding)
        click.echo(collector.text(), nl=False)
        return
    if as_json:
        print_json(_as_json(place, health))
    elif not health.sources:
        raise RecorderError(
            f"nothing was ever recorded beside {place.local}; name the recorders' --db, or --service"
        )
    else:
        _show(place, health)
    context.exit(0 if health.well and health.sources else 1)


def _show(place: Place, health: Health) -> None:
    now_us, gaps = SYSTEM_CLOCK.wall_us(), _gaps_today(place.local)
    rows = [_row(source, now_us, gaps) for source in health.sources]
    print_table(_HEADS, rows, numbers=(2, 3, 4, 5, 6, 7))
    forwarder = health.forwarder
    if forwarder is not None and forwarder.status is not None:
        said = forwarder.status
        behind = f"{said.backlog_us / 1e6:.0f} s, {size(said.backlog_bytes)} behind"
        click.echo(f"forwarder: {forwarder.state} to {said.to}, {behind}")
    if health.free_bytes is not None:
        left = "" if health.hours_left is None else f", enough for {health.hours_left:.0f} hours"
        click.echo(f"disk: {size(health.free_bytes)} above the floor{left}")
    problems = [f"{source.source}: {problem}" for source in health.sources for problem in source.problems]
    problems += [*(forwarder.problems if forwarder else ()), *health.problems]
    for problem in problems:
        note(printable(problem))


def _row(source: SourceHealth, now_us: int, gaps: Mapping[str, tuple[int, float]] | None) -> list[str]:
    status = source.status
    count, seconds = (gaps or {}).get(source.source, (0, 0.0))
    lost = "?" if gaps is None else f"{count}, {_span(seconds)}" if count else "0"
    if status is None:
        return [printable(source.source), source.state, *["-"] * 5, lost]
    return [
        printable(source.source),
        source.state,
        _span((now_us - status.state_since_us) / 1e6),
        _ago(status.heard_until_us, now_us),
        _level(status) if source.state in HEARING else "-",
        _ago(status.committed_us, now_us),
        "-" if status.drift_ppm is None else f"{status.drift_ppm:+.1f} ppm",
        lost,
    ]


def _level(status: SourceStatus) -> str:
    if status.peak_dbfs is None:
        return "zeros" if status.zeros_since_us is not None else "-"
    return f"{status.peak_dbfs:.1f} dBFS"


def _ago(moment_us: int | None, now_us: int) -> str:
    return "never" if moment_us is None else f"{_span((now_us - moment_us) / 1e6)} ago"


def _span(seconds: float) -> str:
    """Return a duration in the largest unit that leaves at least two of it."""
    for unit, length_s in (("d", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _gaps_today(local: Path) -> dict[str, tuple[int, float]] | None:
    """Return for each source how often and for how many seconds it was not heard since local midnight.

    None, where the database does not say: recorders may be well all the same.
    """
    midnight = datetime.now(UTC).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        with Archive(URL.create("sqlite", database=str(local)).render_as_string(), create=False) as archive:
            found = archive.gaps(since=midnight)
    except StoreError:
        return None
    today: dict[str, tuple[int, float]] = {}
    for gap in found:
        count, seconds = today.get(gap.source, (0, 0.0))
        lost_s = (gap.ended_at - max(midnight, gap.started_at)).total_seconds()
        today[gap.source] = (count + 1, seconds + lost_s)
    return today


def _as_json(place: Place, health: Health) -> dict[str, Any]:
    gaps = _gaps_today(place.local)
    return {
        "well": bool(health.well and health.sources),
        "local": str(place.local),
        "sources": [_source_json(source, gaps) for source in health.sources],
        "forwarder": None
        if health.forwarder is None
        else {
            "state": health.forwarder.state,
            "problems": list(health.forwarder.problems),
            **_times(health.forwarder.status),
        },
        "disk": {
            "free_bytes": health.free_bytes,
            "hours_left": health.hours_left,
            "problems": list(health.problems),
        },
    }


def _source_json(source: SourceHealth, gaps: Mapping[str, tuple[int, float]] | None) -> dict[str, Any]:
    count, seconds = (None, None) if gaps is None else gaps.get(source.source, (0, 0.0))
    return {
        **_times(source.status),
        "source": source.source,
        "state": source.state,
        "well": not source.problems,
        "problems": list(source.problems),
        "paused": source.pause is not None,
        "pause_reason": source.pause.reason if source.pause else None,
        "gaps_today": count,
        "gap_seconds_today": seconds,
    }


def _times(status: Any) -> dict[str, Any]:
    """Return what was said, with moments as such; a backlog is a duration, in seconds."""
    said: dict[str, Any] = {} if status is None else dataclasses.asdict(status)
    for name in [name for name in said if name.endswith("_us")]:
        value = said.pop(name)
        plain = name.removesuffix("_us")
        if plain == "backlog":
            said["backlog_seconds"] = value / 1e6
        else:
            said[f"{plain}_at" if not plain.endswith(("since", "until")) else plain] = (
                None if value is None else from_us(value)
            )
    return said

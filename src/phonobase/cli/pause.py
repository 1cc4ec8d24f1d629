"""``phonobase pause`` and ``phonobase resume``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import note
from phonobase.cli.place import find_place, service_option, spool_option
from phonobase.errors import RecorderError
from phonobase.recorder.state import Pause
from phonobase.service.health import examine
from phonobase.store.recording import source_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from phonobase.cli.place import Place
    from phonobase.service.health import SourceHealth

_PATIENCE_S = 3.0
_LOOK_S = 0.02
_PAUSED = "paused"
_DEAF = ("starting", "device-lost")
"""The states in which there is no sound yet that could be paused."""


@click.command("pause")
@click.argument("source")
@click.option("--reason", required=True, help="Why; it is kept with the gap.")
@service_option
@spool_option
@pass_settings
def pause(settings: Settings, source: str, reason: str, service: Path | None, spool: Path | None) -> None:
    """Hear nothing of a source until it is resumed, also where its recorder is started again.

    What is said meanwhile reaches no disk; a gap of the cause "paused" stands for it. The command returns
    when the recorder has done so, which takes less than a second. Where there is none, one that is started
    later hears nothing, but the exit code is 1: the source may be recorded elsewhere.
    """
    if not reason.strip():
        raise click.UsageError("say why with --reason: whoever reads the gap wants to know")
    place = _place_of(settings, service, spool, source)
    if not place.local.parent.is_dir():
        raise RecorderError(
            f"there is no folder {place.local.parent}; name the recorders' --db, or --service"
        )
    asked = place.state.paused(source)
    # Bytes that are no text come with surrogates, which no gap can hold; a pause must not fail for that.
    reason = reason.encode(errors="surrogateescape").decode(errors="replace")
    place.state.pause(Pause(source, reason, asked.since_us if asked else SYSTEM_CLOCK.wall_us()))
    found = _wait(place, source, lambda state: state == _PAUSED)
    undo = f"hear it again with: phonobase resume {source}{_named(service, spool)}"
    if found is None:
        raise RecorderError(
            f"no recorder of {source} writes to {place.local}: if one runs, name its --service or --db; "
            f"one that is started there later hears nothing; {undo}"
        )
    if found.state == _PAUSED:
        note(f"{source} is paused; {undo}")
    elif found.state in _DEAF:
        note(f"{source} gives no sound now ({found.state}), and will not be heard when it does; {undo}")
    else:
        raise RecorderError(
            f"{source} does not say that it is paused, but: {found.state}; stop its recorder, process "
            f"{found.status.pid if found.status else 'unknown'}, if nothing may be heard"
        )


@click.command("resume")
@click.argument("source")
@service_option
@spool_option
@pass_settings
def resume(settings: Settings, source: str, service: Path | None, spool: Path | None) -> None:
    """Hear a source again that was paused."""
    place = _place_of(settings, service, spool, source)
    if place.state.paused(source) is None:
        raise RecorderError(f"{source} is not paused beside {place.local}; name its --service or --db")
    place.state.resume(source, SYSTEM_CLOCK.wall_us())
    found = _wait(place, source, lambda state: state != _PAUSED)
    if found is None:
        note(f"{source} is not paused any more; no recorder of it runs")
    elif found.state == _PAUSED:
        raise RecorderError(f"{source} still says that it is paused; see: phonobase status")
    else:
        note(f"{source} is heard again: {found.state}")


def _named(service: Path | None, spool: Path | None) -> str:
    """Return the options that name the same place again."""
    options = (("--service", service), ("--spool", spool))
    return "".join(f" {option} {path}" for option, path in options if path is not None)


def _place_of(settings: Settings, service: Path | None, spool: Path | None, source: str) -> Place:
    source_name(source)
    place = find_place(settings, service, spool)
    if place.sources and source not in place.sources:
        raise RecorderError(f"{service} has no source {source!r}; there are: {', '.join(place.sources)}")
    return place


def _wait(place: Place, source: str, done: Callable[[str], bool]) -> SourceHealth | None:
    """Return what the recorder says, as soon as it is done or patience ends; None where there is none."""
    ends = time.monotonic() + _PATIENCE_S
    while True:
        (found,) = examine(place.state, SYSTEM_CLOCK.wall_us(), expected=[source]).sources
        if not found.alive:
            return None
        if done(found.state) or found.state in _DEAF or time.monotonic() >= ends:
            return found
        time.sleep(_LOOK_S)

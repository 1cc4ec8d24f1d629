"""``phonobase export``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from phonobase.audio.kinds import Kind, suffixes
from phonobase.cli.files import STDOUT, NewFiles
from phonobase.cli.options import Moment, Settings, json_option, pass_settings
from phonobase.cli.output import (
    counted,
    duration,
    gap_as_json,
    local_time,
    note,
    print_json,
    printable,
    progress_bar,
)
from phonobase.errors import PhonobaseError
from phonobase.store.archive import Archive
from phonobase.store.cut import Cut, GapPolicy
from phonobase.store.delivery import BESIDE, CUES, Plan, deliver, own_kind
from phonobase.store.export import as_cut
from phonobase.store.names import moment_name, recording_name
from phonobase.store.take import Take

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What files there are to be.

    Attributes:
        output: Where; this folder, where not given.
        kind: Of which kind, if that is not for the name to say.
        labels: How the annotations go along: beside each file or in it.
        manifest: Whether what proves the files goes along.
        force: Whether files that are there are overwritten.
        several: Whether there may be more than one, so that what is not there yet is a folder for them.
    """

    output: Path | None
    kind: Kind | None
    labels: frozenset[str]
    manifest: bool
    force: bool
    several: bool = False

    @property
    def one_file(self) -> Path | None:
        """The file that is named; None where several may go into a folder."""
        if self.output is None or self.output.is_dir() or self.new_folder is not None:
            return None
        return self.output

    @property
    def new_folder(self) -> Path | None:
        """The folder that is to be made."""
        if self.output in (None, STDOUT) or not self.several or self.output.exists():
            return None
        return self.output if Kind.named(self.output.suffix) is None else None


@click.command("export")
@click.argument("recording_ids", metavar="[ID...]", nargs=-1)
@click.option("--source", help="Cut a stretch out of this source's time.")
@click.option("--from", "since", type=Moment(), help="Where the stretch begins.")
@click.option("--to", "until", type=Moment(), help="Where it ends.")
@click.option(
    "--gaps",
    type=click.Choice([str(policy) for policy in GapPolicy]),
    help="What becomes of time without sound: silence, the end of a file, or a refusal.  [default: silence]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file, a folder, or - for standard output.  [default: this folder]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice([str(kind) for kind in Kind]),
    help="What kind of file.  [default: what its name says, else as it is stored]",
)
@click.option(
    "--labels",
    type=click.Choice([*BESIDE, CUES]),
    multiple=True,
    help="Write annotations, too: vtt or txt (for Audacity) beside a file, cues into it; may be given again.",
)
@click.option(
    "--manifest", is_flag=True, help="Write what proves the files, too: .manifest.json beside them."
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@json_option
@pass_settings
def command(
    settings: Settings,
    recording_ids: tuple[str, ...],
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    gaps: str | None,
    output: Path | None,
    kind: str | None,
    labels: tuple[str, ...],
    *,
    manifest: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write recordings, or a stretch of a source's time, to files that any player opens.

    A stretch goes across recordings, to the frame; what was not heard is listed. It is one file, unless the
    format changes within it, or the gaps split it.

    A file is FLAC, WAV, Broadcast Wave (.bwf) or Opus (.opus, .ogg) by its name or by --format; those in a
    folder are named by source and time. Where sound is stored so, its bytes are copied, otherwise its samples
    are. With a manifest "phonobase verify FILE --manifest M" proves a file without the archive.
    """
    several = len(recording_ids) > 1 or gaps == GapPolicy.SPLIT
    wishes = _Wishes(output, Kind(kind) if kind else None, frozenset(labels), manifest, force, several)
    if output == STDOUT and (as_json or manifest or wishes.labels - {CUES}):
        raise click.UsageError("standard output holds one file and nothing else; name a file")
    if source is None:
        if since or until or gaps:
            raise click.UsageError("--from, --to and --gaps cut a stretch of a --source; name one")
        if not recording_ids:
            raise click.UsageError("name recordings by their IDs, or a stretch: --source, --from and --to")
        if wishes.one_file is not None and len(recording_ids) > 1:
            raise click.UsageError(f"{output} is one file; name a folder for several recordings")
        with settings.archive() as archive:
            done = [_export_recording(archive, recording_id, wishes) for recording_id in recording_ids]
    else:
        if recording_ids:
            raise click.UsageError("either recordings are exported, or a stretch of a --source")
        if since is None or until is None:
            raise click.UsageError("a stretch of a --source needs --from and --to")
        with settings.archive() as archive:
            cut = archive.cut(source, since, until, gaps or GapPolicy.SILENCE)
            done = [_export_cut(archive, cut, wishes)]
    if as_json:
        print_json(done)


def _export_recording(archive: Archive, recording_id: str, wishes: _Wishes) -> dict[str, Any]:
    recording = archive.get(recording_id)
    cut = as_cut(archive, recording)
    plan = _plan(cut.takes[0], Kind.of(recording.encoding), partial(recording_name, recording), wishes)
    done = _write(archive, cut, [plan], wishes)
    note(f"{recording.id.hex} -> {plan.path}")
    return done


def _export_cut(archive: Archive, cut: Cut, wishes: _Wishes) -> dict[str, Any]:
    if not cut.takes:
        raise PhonobaseError(
            f"nothing of {printable(cut.source)} was heard from {local_time(cut.since)} to "
            f"{local_time(cut.until)}: {_causes(cut) or 'no frame begins then'}; "
            "see what was with: phonobase coverage"
        )
    if len(cut.takes) > 1:
        wishes = replace(wishes, several=True)
    if wishes.one_file is not None and len(cut.takes) > 1:
        raise PhonobaseError(
            f"that is {len(cut.takes)} files, and {wishes.one_file} is one; name a folder for them"
        )
    plans = [
        _plan(
            take,
            own_kind(take),
            partial(moment_name, take.source, take.started_at),
            wishes,
        )
        for take in cut.takes
    ]
    done = _write(archive, cut, plans, wishes)
    for file in done["files"]:
        note(f"{local_time(file['started_at'])} to {local_time(file['ended_at'])} -> {file['path']}")
    if cut.gaps:
        lost = duration(cut.lost_us / _SECOND_US)
        note(f"{counted(len(cut.gaps), 'gap')}, {lost} not heard: {_causes(cut)}")
    return done


def _plan(take: Take, own: Kind, name: Callable[[str], str], wishes: _Wishes) -> Plan:
    """Return where a take goes, and as what.

    Args:
        take: What goes there.
        own: The kind that it is where nothing else is wished.
        name: Returns what a file in a folder is called, for its suffix.
        wishes: What was wished.
    """
    path = wishes.one_file
    if path is None:
        kind = wishes.kind or own
        return Plan((wishes.output or Path()) / name(kind.suffix), kind, take)
    return Plan(path, _kind(path, wishes.kind, own), take)


def _write(archive: Archive, cut: Cut, plans: list[Plan], wishes: _Wishes) -> dict[str, Any]:
    """Write all files of a cut, and return what programs get of it."""
    with NewFiles(force=wishes.force) as files:
        if wishes.new_folder is not None:
            files.make_folder(wishes.new_folder)
        paths = deliver(
            archive,
            cut,
            plans,
            files,
            lambda plan: progress_bar(str(plan.path), plan.take.frame_count),
            labels=wishes.labels,
            manifest=wishes.manifest,
        )
    return _as_json(cut, plans) | {"manifest": str(paths[-1]) if wishes.manifest else None}


def _kind(path: Path, wished: Kind | None, own: Kind) -> Kind:
    """Return what kind of file is to be at a path, for its name and what was wished."""
    named = None if path == STDOUT else Kind.named(path.suffix)
    if wished is not None:
        if named not in (None, wished) and path.suffix.lower() != wished.suffix:
            raise click.UsageError(
                f"{path} is {named} by its name, and --format says {wished}; leave one out"
            )
        return wished
    if path == STDOUT:
        return own
    if named is None:
        ends = ", ".join(suffixes())
        raise click.UsageError(f"{path} does not say what kind of file it is; let it end in one of {ends}")
    return named


def _causes(cut: Cut) -> str:
    """Return how much was lost by each cause, the largest first."""
    lost: dict[str, float] = defaultdict(float)
    for gap in cut.gaps:
        lost[gap.cause] += gap.seconds
    largest_first = sorted(lost.items(), key=lambda item: -item[1])
    return ", ".join(f"{printable(cause)} {duration(seconds)}" for cause, seconds in largest_first)


def _as_json(cut: Cut, plans: list[Plan]) -> dict[str, Any]:
    return {
        "source": cut.source,
        "since": cut.since,
        "until": cut.until,
        "policy": cut.policy,
        "files": [
            {
                "path": str(plan.path),
                "kind": plan.kind,
                "started_at": plan.take.started_at,
                "ended_at": plan.take.ended_at,
                "frame_count": plan.take.frame_count,
                "sample_rate": plan.take.format.sample_rate,
                "channels": plan.take.format.channels,
                "sample_format": plan.take.format.sample_format,
                "recordings": [sound.recording.id.hex for sound in plan.take.sounds],
            }
            for plan in plans
        ],
        "gaps": [gap_as_json(gap) for gap in cut.gaps],
    }

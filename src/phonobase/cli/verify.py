"""``phonobase verify``."""

from __future__ import annotations

from pathlib import Path

import click

from phonobase.cli.options import Settings, json_option, pass_settings
from phonobase.cli.output import counted, local_time, note, print_json, printable, progress_bar
from phonobase.errors import CorruptRecording, ProofFailed, RecordingNotFound
from phonobase.store.columns import from_us
from phonobase.store.manifest import Manifest, load, text_to_us
from phonobase.store.proof import prove
from phonobase.store.verify import Verification


@click.command("verify")
@click.argument("names", metavar="[ID|FILE...]", nargs=-1)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    help="What export wrote beside the files: they are verified, and no archive is opened.",
)
@json_option
@pass_settings
def command(settings: Settings, names: tuple[str, ...], manifest: Path | None, *, as_json: bool) -> None:
    """Re-read every byte and say what is not as it was recorded.

    Exits 1 where something is not. Hashes and the chain are computed anew, and the sound is decoded and
    compared. All recordings, where no ID is given. With --manifest, exported files are compared with what was
    written down of them: all that it names, where no FILE is given.
    """
    if manifest is None:
        _refuse_files(names)
        _verify_recordings(settings, names, as_json=as_json)
    else:
        _verify_files([Path(name) for name in names], manifest, as_json=as_json)


def _refuse_files(names: tuple[str, ...]) -> None:
    file = next((name for name in names if Path(name).is_file()), None)
    if file is not None:
        raise click.UsageError(
            f"{printable(file)} is a file; say with --manifest what it is to be compared with"
        )


def _verify_files(paths: list[Path], manifest_path: Path, *, as_json: bool) -> None:
    """Verify files, but not the manifest itself, if it is among them; all beside it, where none is named."""
    try:
        manifest = load(manifest_path.read_bytes())
        paths = [path for path in paths if not path.samefile(manifest_path)]
        paths = paths or [manifest_path.with_name(Path(entry.name).name) for entry in manifest.files]
        sizes = sum(path.stat().st_size for path in paths)
    except OSError as error:
        raise ProofFailed(f"{error.filename} cannot be read: {error.strerror}; name a file") from error
    proofs: list[dict[str, object]] = []
    failures: list[ProofFailed] = []
    unchecked = [entry.name for entry in manifest.files]
    with progress_bar("verifying", sizes) as done:
        for path in paths:
            try:
                entry = prove(path, manifest, done)
            except ProofFailed as error:
                failures.append(error)
                proofs.append({"path": str(path), "ok": False, "fault": str(error)})
                continue
            unchecked = [name for name in unchecked if name != entry.name]
            proofs.append({"path": str(path), "ok": True, "fault": None})
            if not as_json:
                click.echo(f"ok   {path}  {counted(entry.frame_count, 'frame')}")
    if as_json:
        print_json({"files": proofs, "unchecked": unchecked})
    if failures:
        raise ProofFailed("; ".join(map(str, failures)))
    if not as_json:
        note(_summary(manifest, unchecked))


def _summary(manifest: Manifest, unchecked: list[str]) -> str:
    """Return what is proved where each file that was looked at is as it was exported."""
    number = len(manifest.files)
    files = f"{number - len(unchecked)} of {number} files" if unchecked else counted(number, "file")
    since, until = (local_time(from_us(text_to_us(text))) for text in (manifest.since, manifest.until))
    lost = f"{counted(len(manifest.gaps), 'gap')} listed" if manifest.gaps else "no gaps"
    missed = f"; not looked at: {', '.join(map(printable, unchecked))}" if unchecked else ""
    are = "is" if number - len(unchecked) == 1 else "are"
    return (
        f"{files} {are} what was exported of {printable(manifest.source)}, {since} to {until}, {lost}{missed}"
    )


def _verify_recordings(settings: Settings, recording_ids: tuple[str, ...], *, as_json: bool) -> None:
    with settings.archive() as archive:
        found = (
            [archive.get(recording_id) for recording_id in recording_ids]
            if recording_ids
            else archive.find(limit=None)
        )
        results: list[Verification] = []
        with progress_bar("verifying", sum(recording.byte_count for recording in found)) as done:
            for recording in found:
                try:
                    results.append(archive.verify(recording.id, done))
                except RecordingNotFound:
                    note(f"{recording.id.hex} was deleted meanwhile")
                    continue
                if not as_json:
                    _print(results[-1])
    if as_json:
        print_json([_plain(result) for result in results])
    bad = sum(not result.ok for result in results)
    if bad:
        raise CorruptRecording(
            f"{bad} of {counted(len(results), 'recording')} not as recorded, named above; "
            "keep the database as it is, and fetch what is bad from a backup"
        )
    if not as_json:
        are = "is as it was" if len(results) == 1 else "are as they were"
        note(f"{counted(len(results), 'recording')} {are} recorded")


def _print(result: Verification) -> None:
    recording = result.recording
    if result.ok:
        extent = (
            ""
            if result.decoded
            else " so far (still open, so the sound was not decoded; phonobase recover closes what was left)"
        )
        click.echo(f"ok   {recording.id.hex}  {counted(recording.chunk_count, 'chunk')}{extent}")
    for fault in result.faults:
        click.echo(f"BAD  {recording.id.hex}  {fault}")


def _plain(result: Verification) -> dict[str, object]:
    return {
        "id": result.recording.id.hex,
        "ok": result.ok,
        "decoded": result.decoded,
        "chunk_count": result.recording.chunk_count,
        "faults": [{"seq": fault.seq, "message": fault.message} for fault in result.faults],
    }

"""``phonobase doctor``."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import soundfile

from phonobase.capture.devices import list_devices
from phonobase.cli.options import Settings, json_option, pass_settings
from phonobase.cli.output import print_json, size
from phonobase.errors import CaptureError, PhonobaseError, SchemaError
from phonobase.store import schema
from phonobase.store.engine import create_engine, shown

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_LITTLE_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class _Finding:
    """Whether something is as it should be, and if not, what to do."""

    what: str
    ok: bool
    message: str


@click.command("doctor")
@json_option
@pass_settings
def command(settings: Settings, *, as_json: bool) -> None:
    """Say what is missing on this machine and how to get it.

    Exits 1 where something is.
    """
    findings = [_devices(), _codec(), *_database(settings.db)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{'ok     ' if finding.ok else 'MISSING'}  {finding.what}: {finding.message}")
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(1)


def _devices() -> _Finding:
    try:
        found = list_devices()
    except CaptureError as error:
        return _Finding("sound input", ok=False, message=str(error))
    if not found:
        advice = "no input device: connect one, or record the test tone with --input tone"
        return _Finding("sound input", ok=False, message=advice)
    default = next((device for device in found if device.is_default), found[0])
    return _Finding("sound input", ok=True, message=f"{default}, and {len(found) - 1} more")


def _codec() -> _Finding:
    return _Finding("codec", ok=True, message=f"libsndfile {soundfile.__libsndfile_version__}")


def _database(url: str) -> list[_Finding]:
    try:
        engine = create_engine(url)
        path = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
        if path is not None and not path.exists():
            message = f"{shown(engine)} is not there yet; the first recording makes it"
            return [_Finding("archive", ok=True, message=message), _disk(path)]
        return [_schema(engine)] + ([_disk(path)] if path is not None else [])
    except PhonobaseError as error:
        return [_Finding("archive", ok=False, message=str(error))]


def _schema(engine: Engine) -> _Finding:
    try:
        schema.check(engine)
    except SchemaError as error:
        return _Finding("archive", ok=False, message=str(error))
    finally:
        engine.dispose()
    return _Finding("archive", ok=True, message=f"{shown(engine)}, schema {schema.head()}")


def _disk(path: Path) -> _Finding:
    folder = path.absolute().parent
    if not folder.is_dir():
        return _Finding("disk", ok=False, message=f"there is no folder {folder}; make it")
    free = shutil.disk_usage(folder).free
    return _Finding("disk", ok=free >= _LITTLE_BYTES, message=f"{size(free)} free in {folder}")

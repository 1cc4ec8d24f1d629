"""Recordings as Arrow tables, for whoever computes with them."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

from phonobase.errors import PhonobaseError
from phonobase.store.rows import facts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    import pyarrow as pa

    from phonobase.store.recording import Recording

_TYPES = {
    "id": "string",
    "source": "string",
    "title": "string",
    "started_at": "moment",
    "ended_at": "moment",
    "seconds": "float64",
    "state": "string",
    "peak_dbfs": "float64",
    "rms_dbfs": "float64",
    "clipped_frames": "int64",
    "sample_rate": "int32",
    "channels": "int32",
    "sample_format": "string",
    "encoding": "string",
    "media_type": "string",
    "file_bytes": "int64",
    "tags": "string",
    "notes": "string",
    "external_id": "string",
    "run_id": "string",
    "run_index": "int32",
    "frame_count": "int64",
    "byte_count": "int64",
    "chunk_count": "int32",
    "pcm_sha256": "string",
    "chain_head": "string",
    "committed_at": "moment",
    "capture": "string",
    "drift_ppm": "float64",
}
_AS_JSON = ("tags", "capture")
"""Each recording may have others, so they are text; every program that reads Arrow reads JSON, too."""


def arrow() -> ModuleType:
    """Return pyarrow.

    Raises:
        PhonobaseError: It is not installed.
    """
    return _installed("pyarrow")


def parquet() -> ModuleType:
    """Return pyarrow's module of that name.

    Raises:
        PhonobaseError: It is not installed.
    """
    return _installed("pyarrow", ".parquet")


def pandas() -> ModuleType:
    """Return pandas.

    Raises:
        PhonobaseError: It is not installed.
    """
    return _installed("pandas")


def fields() -> list[pa.Field]:
    """Return the fields of a table of recordings: the columns of ``phono_clips`` that hold no audio."""
    pa = arrow()
    moment = pa.timestamp("us", tz="UTC")
    return [
        pa.field(name, moment if kind == "moment" else getattr(pa, kind)()) for name, kind in _TYPES.items()
    ]


def cells(recording: Recording) -> dict[str, Any]:
    """Return a recording as a row of such a table."""
    told = facts(recording)
    return told | {name: json.dumps(told[name], ensure_ascii=False) for name in _AS_JSON}


def table(recordings: Iterable[Recording]) -> pa.Table:
    """Return recordings as a table."""
    pa = arrow()
    return pa.Table.from_pylist([cells(recording) for recording in recordings], schema=pa.schema(fields()))


def _installed(package: str, module: str = "") -> ModuleType:
    try:
        return importlib.import_module(package + module)
    except ImportError as error:
        raise PhonobaseError(f"{package} is not installed; run: pip install 'phonobase[arrow]'") from error

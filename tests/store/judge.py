"""Independent programs and plain drivers that say what a file or a database really holds."""

from __future__ import annotations

import base64
import json
import sqlite3 as driver
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy.engine import make_url

from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PATIENCE_S = 60
_FFMPEG = {"int16": "s16le", "int24": "s24le", "int32": "s32le", "float32": "f32le"}
_RAW_FLAC = ("--force-raw-format", "--endian=little", "--sign=signed", "--silent", "--stdout")


def flac_test(path: Path) -> str:
    """Fails unless `flac -t` accepts a file; returns what it says."""
    done = subprocess.run(
        [require("flac"), "--test", path], capture_output=True, text=True, check=False, errors="replace"
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def checks_md5(path: Path) -> bool:
    """Tells whether `flac -t` accepts a file and found an MD5 in it to check the sound by."""
    return "cannot check MD5" not in flac_test(path)


def flac_pcm(path: Path) -> bytes:
    """Returns the PCM that `flac -d` decodes from a file."""
    command = [require("flac"), "--decode", *_RAW_FLAC, str(path)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def ffmpeg_pcm(path: Path, dtype: str) -> bytes:
    """Returns the PCM that ffmpeg decodes from a file."""
    raw = _FFMPEG[dtype]
    command = [require("ffmpeg"), "-v", "error", "-i", str(path), "-f", raw, "-c:a", f"pcm_{raw}", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def random_pcm(frames: int, channels: int, dtype: str, seed: int = 1) -> bytes:
    """Returns interleaved PCM of full-scale white noise; ends of the scale included."""
    random = np.random.default_rng(seed)
    if dtype == "float32":
        values = random.uniform(-1, 1, frames * channels).astype("<f4")
        values[:2] = (-1, 1)[: len(values[:2])]
        return values.tobytes()
    pcm = random.bytes(frames * channels * int(dtype.removeprefix("int")) // 8)
    width = int(dtype.removeprefix("int")) // 8
    least, largest = b"\x00" * (width - 1) + b"\x80", b"\xff" * (width - 1) + b"\x7f"
    return ((least + largest) + pcm)[: len(pcm)]


def frames_of(pcm: bytes, channels: int, dtype: str) -> npt.NDArray[Any]:
    """Returns PCM as the array that a caller of phonobase would hand over, made byte by byte."""
    if dtype == "int24":
        padded = bytearray(len(pcm) // 3 * 4)
        for byte in range(3):
            padded[byte + 1 :: 4] = pcm[byte::3]
        return np.frombuffer(padded, "<i4").reshape(-1, channels)
    return np.frombuffer(pcm, np.dtype(dtype).newbyteorder("<")).reshape(-1, channels)


def pcm_of(frames: npt.NDArray[Any], dtype: str) -> bytes:
    """Returns frames as phonobase gives them back as PCM."""
    raw = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    if dtype == "int24":
        assert not any(raw[::4]), "a 24-bit sample has bits below its 24"
        packed = bytearray(len(raw) // 4 * 3)
        for byte in range(3):
            packed[byte::3] = raw[byte + 1 :: 4]
        return bytes(packed)
    return raw


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for something that other threads or processes do, and fails where it never happens."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


class Program:
    """An archive through the `sqlite3` or the `psql` program, and nothing else."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"

    @property
    def dsn(self) -> str:
        """The address as libpq takes it."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def lines(self, sql: str) -> list[str]:
        """Returns the rows that a statement gives, their columns separated by `|`."""
        return self._run(sql).splitlines()

    def value(self, sql: str) -> str:
        """Returns the one value that a statement gives."""
        (line,) = self.lines(sql)
        return line

    def run_script(self, script: str) -> None:
        """Runs SQL statements, stopping at the first that fails."""
        self._run(script)

    def plan(self, select: str) -> str:
        """Returns how the database would run a query."""
        prefix = "EXPLAIN QUERY PLAN " if self.is_sqlite else "EXPLAIN "
        return "\n".join(self.lines(prefix + select))

    def reads_audio(self, select: str) -> bool:
        """Tells whether a query would open the table of the audio or an index of it.

        SQLite's plan gives only a table's alias, but its program gives the page where a table begins.
        """
        if not self.is_sqlite:
            return "phono_audio" in self.plan(select)
        audio = set(self.lines("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'phono_audio'"))
        steps = [line.split() for line in self.lines(f"EXPLAIN {select}")]
        return any("OpenRead" in step and step[3] in audio for step in steps)

    def write_clip(self, path: Path, condition: str = "true") -> Path:
        """Writes `audio` of the one clip that meets a condition to a file."""
        if self.is_sqlite:
            written = self.value(f"SELECT writefile('{path}', audio) FROM phono_clips WHERE {condition}")
            assert int(written) == path.stat().st_size
        else:
            text = self._run(f"SELECT encode(audio, 'base64') FROM phono_clips WHERE {condition}")
            path.write_bytes(base64.b64decode(text))
        return path

    def _run(self, sql: str) -> str:
        if self.is_sqlite:
            command = [require("sqlite3"), "-bail", str(self.url.database)]
        else:
            command = [require("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-", self.dsn]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{sql[:500]}\n{done.stderr}"
        assert not done.stderr.strip() or "NOTICE" in done.stderr, done.stderr
        return done.stdout


class Raw:
    """An archive through the plain driver, behind phonobase's back: foreign keys are not checked."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._connection: Any
        if self.is_sqlite:
            self._connection = driver.connect(str(parsed.database), isolation_level=None)
            self._connection.execute("PRAGMA foreign_keys = OFF")
        else:
            dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(dsn, autocommit=True)
            self._connection.execute("SET session_replication_role = replica")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, sql: str, *values: object) -> int:
        """Runs a statement with `?` for values and returns how many rows it changed."""
        return int(self._execute(sql, values).rowcount)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Returns the rows that a statement gives."""
        return [tuple(row) for row in self._execute(sql, values).fetchall()]

    def value(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Returns the one value that a statement gives."""
        ((found,),) = self.rows(sql, *values)
        return found

    def json(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Returns a JSON value, which SQLite gives as text and psycopg parsed."""
        found = self.value(sql, *values)
        return json.loads(found) if isinstance(found, str) else found

    def _execute(self, sql: str, values: tuple[object, ...]) -> Any:  # noqa: ANN401 - a cursor
        if self.is_sqlite:
            return self._connection.execute(sql, values)
        # Without values psycopg leaves percent signs alone.
        return self._connection.execute(sql.replace("?", "%s") if values else sql, values or None)

from __future__ import annotations

import io
import json
import math
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from sqlalchemy import inspect

from phonobase import Archive, Query, Recording, Recordings
from phonobase.errors import CorruptRecording, InvalidDetails, PhonobaseError, UnsupportedFormat
from phonobase.store import dataset
from phonobase.store.dataset import write_dataset
from tests.store.judge import Program, Raw, ffmpeg_pcm, flac_test, frames_of, random_pcm

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UTC_US = pa.timestamp("us", tz="UTC")
TAGS = {"queue": "billing", "ü": [1, {"a": None}]}


@pytest.fixture
def filled(archive: Archive) -> list[Recording]:
    """Three recordings, the newest first: stereo FLAC, 24-bit FLAC, floats as PCM."""
    archive.add(
        random_pcm(50_000, 2, "int16"), 44_100, 2, source="desk", started_at=NOON, title="Größe", tags=TAGS
    )
    archive.add(random_pcm(20_001, 1, "int24"), 8000, 1, "int24", started_at=NOON + timedelta(minutes=1))
    archive.add(bytes(4 * 3000), 8000, 1, "float32", started_at=NOON + timedelta(minutes=2, microseconds=1))
    return archive.find()


def _written(archive: Archive, path: Path, clip_seconds: float | None = None) -> pq.ParquetFile:
    with path.open("wb") as out:
        write_dataset(archive, Query(limit=None), out, clip_seconds)
    return pq.ParquetFile(path)


@pytest.mark.usefixtures("filled")
def test_a_table_has_the_columns_of_the_clips(archive: Archive, program: Program) -> None:
    """Arrow has what SQL has, by the same names, with types that compute; DuckDB finds the same in it."""
    clips = archive.find().to_arrow()

    names = {column["name"] for column in inspect(archive.engine).get_columns("phono_clips")}
    assert set(clips.schema.names) == names - {"audio"}
    types = {field.name: field.type for field in clips.schema}
    assert {types[name] for name in ("started_at", "ended_at", "committed_at")} == {UTC_US}
    assert {types[name] for name in ("seconds", "peak_dbfs", "rms_dbfs", "drift_ppm")} == {pa.float64()}
    assert {types[name] for name in ("id", "tags", "capture", "pcm_sha256")} == {pa.string()}
    rows = duckdb.execute("SELECT title, frame_count, file_bytes, channels FROM clips").fetchall()
    sql = "SELECT coalesce(title, ''), frame_count, file_bytes, channels FROM phono_clips"
    assert ["|".join("" if cell is None else str(cell) for cell in row) for row in rows] == program.lines(
        sql + " ORDER BY started_at DESC"
    )


def test_a_table_says_what_the_recordings_say(archive: Archive, filled: list[Recording]) -> None:
    """Times are to the microsecond, silence is minus infinity, tags are JSON, ids and hashes hexadecimal."""
    rows = archive.find().to_arrow().to_pylist()

    assert [row["id"] for row in rows] == [recording.id.hex for recording in filled]
    assert rows[0]["started_at"] == NOON + timedelta(minutes=2, microseconds=1)
    assert rows[0]["peak_dbfs"] == -math.inf
    assert (rows[0]["title"], rows[0]["drift_ppm"]) == (None, None)
    assert json.loads(rows[2]["tags"]) == TAGS
    assert rows[2]["peak_dbfs"] == filled[2].peak_dbfs
    assert bytes.fromhex(rows[2]["pcm_sha256"]) == filled[2].pcm_sha256
    assert Recordings().to_arrow().num_rows == 0
    assert Recordings().to_arrow().schema == archive.find().to_arrow().schema


def test_a_frame_for_pandas(archive: Archive, filled: list[Recording]) -> None:
    """The same as a DataFrame: times with their zone, levels that can be averaged."""
    frame = archive.find().to_pandas()

    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"
    assert frame["started_at"].tolist() == [recording.started_at for recording in filled]
    loudest = frame.sort_values("peak_dbfs", ascending=False)["id"].iloc[0]
    assert loudest == max(filled, key=lambda recording: recording.peak_dbfs).id.hex
    assert frame.groupby("source")["frame_count"].sum().to_dict() == {"default": 23_001, "desk": 50_000}


def test_a_dataset_holds_the_files(archive: Archive, filled: list[Recording], tmp_path: Path) -> None:
    """Each row has the whole recording as the file that an export writes, and its columns."""
    rows = _written(archive, tmp_path / "all.parquet").read().to_pylist()

    assert [row["audio"]["path"] for row in rows] == [
        recording.id.hex + recording.encoding.suffix for recording in filled
    ]
    for row, recording in zip(rows, filled, strict=True):
        assert row["audio"]["bytes"] == archive.open(recording.id).read()
        assert (row["clip_first_frame"], row["clip_frame_count"]) == (0, recording.frame_count)
        assert row["clip_started_at"] == row["started_at"] == recording.started_at
    (tmp_path / "desk.flac").write_bytes(rows[2]["audio"]["bytes"])
    flac_test(tmp_path / "desk.flac")
    assert ffmpeg_pcm(tmp_path / "desk.flac", "int16") == random_pcm(50_000, 2, "int16")


@pytest.mark.parametrize("clip_seconds", [0.3, 1, 2.5])
def test_a_dataset_of_clips(
    archive: Archive, filled: list[Recording], tmp_path: Path, clip_seconds: float
) -> None:
    """Rows of a given length are files of their own that together hold every frame once."""
    rows = _written(archive, tmp_path / "clips.parquet", clip_seconds).read().to_pylist()

    for recording in filled:
        mine = [row for row in rows if row["id"] == recording.id.hex]
        length = round(clip_seconds * recording.format.sample_rate)
        assert [row["clip_first_frame"] for row in mine] == list(range(0, recording.frame_count, length))
        assert sum(row["clip_frame_count"] for row in mine) == recording.frame_count
        heard = [soundfile.read(io.BytesIO(row["audio"]["bytes"]), always_2d=True)[0] for row in mine]
        assert [len(frames) for frames in heard] == [row["clip_frame_count"] for row in mine]
        whole = soundfile.read(io.BytesIO(archive.open(recording.id).read()), always_2d=True)[0]
        assert np.array_equal(np.concatenate(heard), whole)
        for row in mine:
            since = timedelta(seconds=row["clip_first_frame"] / recording.format.sample_rate)
            assert abs(row["clip_started_at"] - recording.started_at - since) <= timedelta(microseconds=1)


@pytest.mark.usefixtures("filled")
def test_hugging_face_opens_it(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``datasets`` takes the column for sound by itself, and its bytes decode to the archive's samples."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    import datasets  # noqa: PLC0415 - it takes a second to load, and reads the variables then

    _written(archive, tmp_path / "all.parquet").close()

    loaded = datasets.Dataset.from_parquet(str(tmp_path / "all.parquet"), cache_dir=str(tmp_path / "cache"))

    assert loaded.features["audio"] == datasets.Audio()
    sounds = loaded.cast_column("audio", datasets.Audio(decode=False))
    row = sounds[2]
    frames, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16", always_2d=True)
    assert np.array_equal(frames, frames_of(random_pcm(50_000, 2, "int16"), 2, "int16"))
    assert (rate, row["title"], row["started_at"]) == (44_100, "Größe", NOON)


@pytest.mark.usefixtures("filled")
def test_no_more_than_a_group_of_rows_is_held(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory at once is a group of rows, however many there are; the footer quotes no sound."""
    monkeypatch.setattr(dataset, "_GROUP_BYTES", 50_000)
    groups: list[int] = []

    with (tmp_path / "clips.parquet").open("wb") as out:
        count = write_dataset(archive, Query(), out, 0.05, groups.append)

    metadata = pq.ParquetFile(tmp_path / "clips.parquet").metadata
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert groups == sizes
    assert sum(sizes) == metadata.num_rows == count == 8 + 51 + 23
    assert len(sizes) > 4
    sound = [metadata.row_group(group).column(metadata.num_columns - 2) for group in range(len(sizes))]
    assert {column.path_in_schema for column in sound} == {"audio.bytes"}
    assert max(column.total_uncompressed_size for column in sound) < 70_000
    assert not any(column.is_stats_set for column in sound)


def test_memory_does_not_grow_with_the_number_of_rows(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times as many recordings take no more memory, neither Python's nor Arrow's."""
    monkeypatch.setattr(dataset, "_GROUP_BYTES", 1_000_000)
    for seed in range(32):
        archive.add(random_pcm(150_000, 1, "int16", seed), 8000, source="desk")
    used: list[int] = []

    def watch(_rows: int) -> None:
        used.append(tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes())

    peaks = []
    for limit in (8, 32):
        used.clear()
        tracemalloc.start()
        with (tmp_path / "all.parquet").open("wb") as out:
            write_dataset(archive, Query(limit=limit), out, None, watch)
        peaks.append((tracemalloc.get_traced_memory()[1], max(used)))
        tracemalloc.stop()
    assert (tmp_path / "all.parquet").stat().st_size > 32 * 300_000
    assert all(many < 1.3 * few for few, many in zip(*peaks, strict=True)), peaks


@pytest.mark.usefixtures("filled")
def test_duckdb_reads_the_sound(archive: Archive, tmp_path: Path) -> None:
    """Any program that reads Parquet has the files, as bytes that begin as such files do."""
    _written(archive, tmp_path / "all.parquet").close()

    found = duckdb.execute(
        "SELECT audio.path[-4:], hex(audio.bytes[1:4]), tags->>'$.queue' FROM read_parquet(?)"
        " ORDER BY started_at",
        [str(tmp_path / "all.parquet")],
    ).fetchall()

    flac, riff = b"fLaC".hex().upper(), b"RIFF".hex().upper()
    assert found == [("flac", flac, "billing"), ("flac", flac, None), (".wav", riff, None)]


def test_damaged_sound_is_not_written(archive: Archive, raw: Raw, tmp_path: Path) -> None:
    """A chunk that is not as it was recorded ends the export."""
    recording = archive.add(random_pcm(50_000, 1, "int16"), 8000)
    data = raw.value("SELECT data FROM phono_audio WHERE recording_id = ? AND seq = 1", recording.id.hex)
    changed = bytes(data[:1000]) + bytes([data[1000] ^ 1]) + bytes(data[1001:])
    raw.run("UPDATE phono_audio SET data = ? WHERE seq = 1", changed)
    for clip_seconds in (None, 1.0):
        with pytest.raises(CorruptRecording, match=f"{recording.id.hex}.*chunk"):
            _written(archive, tmp_path / "bad.parquet", clip_seconds)


@pytest.mark.usefixtures("filled")
def test_rows_have_a_size(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no row can hold is refused with what to do: too large a recording, too short a clip."""
    monkeypatch.setattr(dataset, "_LARGEST_BYTES", 100_000)
    with pytest.raises(UnsupportedFormat, match="too many for one row; ask for clips"):
        write_dataset(archive, Query(), io.BytesIO())
    assert write_dataset(archive, Query(), io.BytesIO(), 0.5) == 10
    for short in (0, -1.0, 1e-9):
        with pytest.raises(InvalidDetails, match="hold no frame"):
            write_dataset(archive, Query(), io.BytesIO(), short)


@pytest.mark.usefixtures("filled")
def test_what_is_not_installed_is_named(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow or pandas the message says what to install."""
    calls: dict[str, Any] = {
        "pandas": archive.find().to_pandas,
        "pyarrow": archive.find().to_arrow,
        "pyarrow.parquet": lambda: write_dataset(archive, Query(), io.BytesIO()),
    }
    for module, call in calls.items():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(PhonobaseError, match=r"is not installed; run: pip install 'phonobase\[arrow"):
                call()

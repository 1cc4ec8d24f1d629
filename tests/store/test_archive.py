from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import event

from phonobase import Archive, State
from phonobase.errors import (
    DatabaseUnavailable,
    InvalidAudio,
    RecordingClosed,
    StorageFull,
    StoreError,
    UnsupportedFormat,
)
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.store.judge import (
    Program,
    Raw,
    checks_md5,
    flac_pcm,
    flac_test,
    frames_of,
    pcm_of,
    random_pcm,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.support.postgres import PostgresServer

RATE = 8000
SAMPLES = frames_of(random_pcm(100_000, 1, "int16"), 1, "int16")
CHUNK = 4096
NOBODY = 65_534


def test_a_failure_keeps_all_that_was_written(archive: Archive, program: Program, tmp_path: Path) -> None:
    """Where the recording block raises, every frame that was written is stored, as interrupted."""
    writer = archive.writer(RATE, chunk_seconds=0.5)
    with pytest.raises(RuntimeError, match="unplugged"):
        _record(writer, [SAMPLES[:33_333]], RuntimeError("unplugged"))
    recording = archive.get(writer.id)
    assert (recording.state, recording.frame_count) == (State.INTERRUPTED, 33_333)
    path = program.write_clip(tmp_path / "clip.flac")
    assert checks_md5(path)
    assert flac_pcm(path) == pcm_of(SAMPLES[:33_333], "int16")
    assert archive.verify(writer.id).ok


def test_nothing_written_is_nothing_stored(archive: Archive, program: Program) -> None:
    """A recording without a frame does not exist: closing it says so, and a failure stays itself."""
    with pytest.raises(InvalidAudio, match="no frame was recorded"), archive.writer(RATE):
        pass
    with pytest.raises(RuntimeError, match="unplugged"), archive.writer(RATE):
        raise RuntimeError("unplugged")
    with pytest.raises(InvalidAudio, match="no frames in it"):
        archive.add(b"", RATE)
    assert program.value("SELECT count(*) FROM phono_recording") == "0"


def test_closing_twice_is_closing_once(archive: Archive) -> None:
    """A writer closed by hand inside its block stays as it was closed, and takes no more."""
    with archive.writer(RATE) as writer:
        writer.write(SAMPLES)
        closed = writer.close(State.INTERRUPTED)
        with pytest.raises(StoreError, match="is closed; start a new one"):
            writer.write(SAMPLES)
    assert writer.close() == closed == archive.get(writer.id)
    assert closed.frame_count == len(SAMPLES)


def test_discarding_leaves_no_trace(archive: Archive, program: Program) -> None:
    """A recording that is taken back was never there: no row, no byte, no gap."""
    writer = archive.writer(RATE, chunk_seconds=0.5)
    writer.write(SAMPLES)
    writer.lose(0, "overflow", "test")
    writer.write(SAMPLES)
    wait_until(lambda: writer.frames_committed > 0)
    writer.discard()
    tables = ("phono_recording", "phono_chunk", "phono_audio", "phono_gap")
    assert [program.value(f"SELECT count(*) FROM {table}") for table in tables] == ["0"] * 4


def test_a_loss_of_unknown_length_has_its_place(archive: Archive, program: Program) -> None:
    """A gap that a writer notes lies in the recording, before the frame that is written next."""
    with archive.writer(RATE, source="desk", chunk_seconds=0.5) as writer:
        writer.lose(0, "overflow", "at the beginning")
        writer.write(SAMPLES[:10_000])
        writer.lose(0, "overflow", "in the middle")
        writer.write(SAMPLES[10_000:20_000])
        writer.lose(0, "device-lost", "at the end")
    found = program.lines("SELECT first_frame, frame_count, cause, detail FROM phono_gaps ORDER BY 1")
    assert found == [
        "0|0|overflow|at the beginning",
        "10000|0|overflow|in the middle",
        "20000|0|device-lost|at the end",
    ]
    seconds = program.lines("SELECT seconds FROM phono_gaps")
    assert [float(text) for text in seconds] == [0.0] * 3
    assert archive.verify(writer.id).ok


def _recovered_by_another(archive: Archive, raw: Raw, writer: Any) -> None:  # noqa: ANN401
    del archive
    changed = raw.run(
        "UPDATE phono_recording SET state = 'interrupted', pcm_sha256 = chain_head WHERE id = ?",
        writer.id.hex,
    )
    assert changed == 1


def _deleted_by_another(archive: Archive, raw: Raw, writer: Any) -> None:  # noqa: ANN401
    del raw
    with archive.writing() as repository:
        repository.discard(writer.id)


@pytest.mark.parametrize("meddle", [_recovered_by_another, _deleted_by_another])
def test_somebody_else_ends_the_recording(
    archive: Archive, raw: Raw, meddle: Callable[[Archive, Raw, Any], None]
) -> None:
    """A writer whose recording was closed or deleted says so, and adds nothing half."""
    writer = archive.writer(RATE, chunk_seconds=0.5)
    writer.write(SAMPLES[: 3 * CHUNK])
    wait_until(lambda: writer.frames_committed >= 2 * CHUNK)
    meddle(archive, raw, writer)
    with pytest.raises(RecordingClosed, match="closed, deleted or continued by another program"):
        _record(writer, [SAMPLES[:CHUNK]] * 1000)
    counted = raw.rows("SELECT chunk_count FROM phono_recording WHERE id = ?", writer.id.hex) or [(0,)]
    for table in ("phono_chunk", "phono_audio"):
        assert raw.rows(f"SELECT count(*) FROM {table}") == counted
    assert counted[0][0] < 100


def test_somebody_else_ends_the_recording_before_it_is_closed(archive: Archive, raw: Raw) -> None:
    """Closing what somebody else closed says so, and what the archive holds stays as they left it."""
    writer = archive.writer(RATE, chunk_seconds=0.5)
    writer.write(SAMPLES[: 2 * CHUNK + 5])
    wait_until(lambda: writer.frames_committed >= CHUNK)
    _recovered_by_another(archive, raw, writer)
    with pytest.raises(RecordingClosed):
        writer.close()
    recording = archive.get(writer.id)
    assert recording.state is State.INTERRUPTED
    assert recording.frame_count % CHUNK == 0


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_the_server_goes_away_while_recording(own_postgres: PostgresServer, way: str, tmp_path: Path) -> None:
    """Writing fails in one line when the server stops or crashes; what was committed is there afterwards."""
    own_postgres.create_database("archive")
    url = own_postgres.url("archive")
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
    with Archive(url) as archive:
        writer = archive.writer(RATE, chunk_seconds=0.5)
        writer.write(SAMPLES[: 3 * CHUNK])
        wait_until(lambda: writer.frames_committed >= 2 * CHUNK)
        getattr(own_postgres, way)()
        with pytest.raises(DatabaseUnavailable) as caught:
            _record(writer, [SAMPLES[:CHUNK]] * 1000)
        assert len(str(caught.value).splitlines()) == 1
        assert "check that the server runs" in str(caught.value)
        committed = writer.frames_committed
        with pytest.raises(DatabaseUnavailable):
            archive.find()
        own_postgres.start()
        recording = archive.get(writer.id)
        assert recording.frame_count >= committed >= 2 * CHUNK
        assert (recording.state, archive.verify(writer.id).ok) == (State.RECORDING, True)
        expected = np.concatenate([SAMPLES[: 3 * CHUNK], *[SAMPLES[:CHUNK]] * 1000])[: recording.frame_count]
        path = Program(url).write_clip(tmp_path / "clip.flac")
        flac_test(path)
        assert flac_pcm(path) == pcm_of(expected, "int16")
        again = archive.add(pcm_of(SAMPLES, "int16"), RATE)
        assert archive.verify(again.id).ok


class Disk:
    """A place for an archive that is soon full, and can be made larger."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "small" / "phonobase.db"
        self.path.parent.mkdir()
        self._mounted = self._mount("size=3m")
        self._pages = 3 * 64

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(self.path.parent)]
        return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0

    def limit(self, connection: Any, _record: object = None) -> None:  # noqa: ANN401 - the driver's
        """Limits the file where there is no small disk to be had: SQLite then fails in the same way."""
        if not self._mounted:
            connection.execute(f"PRAGMA max_page_count = {self._pages}")

    def enlarge(self) -> None:
        """Makes room."""
        self._pages = 64 * 64
        if self._mounted:
            assert self._mount("remount,size=64m")

    def close(self) -> None:
        """Gives the place back."""
        if self._mounted:
            subprocess.run(["umount", str(self.path.parent)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 3 MiB, where this user may make one; otherwise a file that may not become larger."""
    with contextlib.closing(Disk(tmp_path)) as small:
        yield small


def test_the_disk_is_full(disk: Disk, tmp_path: Path) -> None:
    """A full disk is named; what was committed is safe and playable, and with room writing goes on."""
    loud = frames_of(random_pcm(3_000_000, 1, "int16"), 1, "int16")
    engine = create_engine(f"sqlite:///{disk.path}")
    event.listen(engine, "connect", disk.limit)
    with Archive(engine) as archive:
        first = archive.add(pcm_of(loud[:50_000], "int16"), 48_000)
        with pytest.raises(StorageFull, match="the disk is full; what was committed is safe"):
            archive.add(pcm_of(loud, "int16"), 48_000)
        assert [recording.id for recording in archive.find()] == [first.id], "half a clip was stored"
        writer = archive.writer(48_000, chunk_seconds=0.5)
        with pytest.raises(StorageFull, match="the disk is full") as caught:
            _record(writer, np.split(loud, 600))
        assert len(str(caught.value).splitlines()) == 1
        left = archive.get(writer.id)
        assert (left.state, left.frame_count) == (State.RECORDING, writer.frames_committed)
        assert left.chunk_count > 1
        assert [archive.verify(recording.id).faults for recording in (first, left)] == [(), ()]
        path = Program(f"sqlite:///{disk.path}").write_clip(tmp_path / "a.flac", "state = 'recording'")
        flac_test(path)
        assert flac_pcm(path) == pcm_of(loud[: left.frame_count], "int16")
        disk.enlarge()
        engine.dispose()
        again = archive.add(pcm_of(loud, "int16"), 48_000)
        assert archive.verify(again.id).ok
    engine.dispose()
    assert Program(f"sqlite:///{disk.path}").value("PRAGMA integrity_check") == "ok"


def test_how_much_room_there_is(tmp_path: Path) -> None:
    """The room is what the disk has left for everybody, and what is free inside the file."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with Archive(url) as archive:
        assert archive.path == tmp_path / "a.db"
        recording = archive.add(random_pcm(5_000_000, 1, "int16"), 48_000)
        inside = _room_inside(archive, tmp_path)
        assert abs(inside) < 1_000_000
        archive.delete(recording.id, "test")
        assert _room_inside(archive, tmp_path) - inside > 9_000_000
        free = int(Program(url).value("PRAGMA freelist_count")) * 16_384
        assert abs(_room_inside(archive, tmp_path) - free) < 1_000_000
        (tmp_path / "a.db").rename(tmp_path / "b.db")
        with pytest.raises(DatabaseUnavailable, match=r"a\.db: No such file"):
            archive.room()


def _room_inside(archive: Archive, folder: Path) -> float:
    """Returns by how much an archive's room is more than what `df` says, others using the disk meanwhile."""

    def free() -> int:
        command = ["df", "--output=avail", "--block-size=1", str(folder)]
        return int(subprocess.check_output(command, text=True).split()[-1])

    return median(archive.room() - free() for _ in range(9))


def test_a_server_does_not_say_how_much_room_it_has(migrated_postgres_url: str) -> None:
    """Nobody is told of room that is not known to be there."""
    with Archive(migrated_postgres_url) as archive:
        assert archive.path is None
        with pytest.raises(StoreError, match="does not say how full its disk is"):
            archive.room()


def _record(writer: Any, blocks: Iterable[Any], failure: Exception | None = None) -> None:  # noqa: ANN401
    """Writes blocks as a recorder does, which may fail at the end."""
    with writer:
        for block in blocks:
            writer.write(block)
        if failure is not None:
            raise failure


def test_an_archive_leaves_a_hosts_engine_open(archive_url: str) -> None:
    """Closing an archive closes the connections it made itself, and no others."""
    engine = create_engine(archive_url)
    with engine.connect() as connection:
        with Archive(engine) as archive:
            archive.add(random_pcm(800, 1, "int16"), RATE)
        assert connection.exec_driver_sql("SELECT count(*) FROM phono_recording").scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_sound_is_refused(archive: Archive, bad: float) -> None:
    """NaN and infinity are refused, with the frame they stand in, and the frames before them are kept."""
    frames = np.zeros((100, 2), np.float32)
    frames[42, 1] = bad
    with pytest.raises(InvalidAudio, match="frame 42 of a block holds NaN or infinity"):
        archive.add(frames.tobytes(), RATE, 2, "float32")
    assert archive.find() == []
    writer = archive.writer(RATE, 2, "float32")
    with pytest.raises(InvalidAudio, match="frame 42"):
        _record(writer, [np.zeros((10, 2), np.float32), frames])
    assert archive.get(writer.id).frame_count == 10


@pytest.mark.parametrize(
    ("rate", "channels", "dtype", "message"),
    [
        (RATE, 33, "int16", "33 channels cannot be stored; choose from 1 to 32"),
        (RATE, 0, "int16", "0 channels cannot be stored"),
        (0, 1, "int16", "0 Hz cannot be stored; choose one from 1 to 1048575"),
        (1_048_576, 1, "int16", "1048576 Hz cannot be stored"),
        (-1, 1, "int16", "-1 Hz cannot be stored"),
        (RATE, 1, "int8", "no sample format 'int8'; choose one of int16, int24, int32, float32"),
        (44_100.5, 1, "int16", "pass whole numbers"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    archive: Archive, rate: int, channels: int, dtype: str, message: str
) -> None:
    """A format outside the limits is refused before anything is written, as a ValueError."""
    with pytest.raises(UnsupportedFormat, match=message) as caught:
        archive.add(bytes(264), rate, channels, dtype)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(UnsupportedFormat, match=message):
        archive.writer(rate, channels, dtype)
    assert archive.find() == []


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((10, 2), np.int16), r"does not hold frames of 1 channels; pass shape \(frames, 1\)"),
        (np.zeros((10, 1), np.int32), "an array of int32 does not hold int16 samples; pass int16"),
        (np.zeros((10, 1), np.float64), "an array of float64 does not hold int16 samples"),
        (np.zeros((2, 2, 2), np.int16), "does not hold frames"),
    ],
)
def test_an_array_of_another_kind_is_refused(archive: Archive, array: Any, message: str) -> None:  # noqa: ANN401
    """A block whose shape or dtype is not the recording's is refused; the recording goes on."""
    with archive.writer(RATE) as writer:
        writer.write(SAMPLES[:100])
        with pytest.raises(UnsupportedFormat, match=message):
            writer.write(array)
        writer.write(SAMPLES[100:200].reshape(-1))
    assert pcm_of(archive.read(writer.id), "int16") == pcm_of(SAMPLES[:200], "int16")


def test_no_recording_is_longer_than_a_day(archive: Archive) -> None:
    """The frame behind the 24th hour is refused; a day itself is kept."""
    with archive.writer(1, encoding="pcm") as writer:
        writer.write(np.zeros(86_400, np.int16))
        assert writer.frames_left == 0
        with pytest.raises(UnsupportedFormat, match="24 hours at most"):
            writer.write(np.zeros(1, np.int16))
    assert archive.get(writer.id).seconds == 86_400
    with pytest.raises(UnsupportedFormat, match="24 hours at most"):
        archive.add(bytes(2 * 86_401), 1, encoding="pcm")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("clips.db", "not a database URL; write sqlite:///clips.db"),
        ("mysql://localhost/x", "does not speak to 'mysql'"),
        ("sqlite://", "in memory would be lost"),
        ("sqlite:///:memory:", "in memory would be lost"),
        ("sqlite:////nowhere/at/all/x.db", "check that the folder exists"),
        ("postgresql://nobody@/x?host=/nowhere", "check that the server runs"),
    ],
)
def test_a_database_that_cannot_be_is_refused(url: str, message: str) -> None:
    """An address that leads nowhere is refused in one line that says what to do."""
    with pytest.raises(DatabaseUnavailable, match=message) as caught:
        Archive(url)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of something else is named as such, and not touched."""
    path = tmp_path / "song.db"
    garbage = b"RIFF" + random_pcm(4000, 1, "int16")
    path.write_bytes(garbage)
    with pytest.raises(DatabaseUnavailable, match="file is not a database; name another") as caught:
        Archive(f"sqlite:///{path}")
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == garbage


def test_a_missing_file_is_not_made_unasked(tmp_path: Path) -> None:
    """Opening for reading does not leave an empty archive behind."""
    path = tmp_path / "phonobase.db"
    with pytest.raises(DatabaseUnavailable, match="there is no archive at"):
        Archive(f"sqlite:///{path}", create=False)
    assert list(tmp_path.iterdir()) == []


_AS_NOBODY = """
import os, sys
from phonobase import Archive, PhonobaseError
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({nobody})
    os.setuid({nobody})
try:
    Archive(sys.argv[1]).add(b"\\1\\0" * 8, 8000)
except PhonobaseError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("there", [False, True], ids=["folder", "file"])
def test_a_place_that_may_not_be_written_is_refused(there: bool) -> None:  # noqa: FBT001
    """A folder or a file of somebody else's is refused in one line that says what to do."""
    with tempfile.TemporaryDirectory() as name:  # below pytest's own folders others see nothing
        folder = Path(name)
        path = folder / "phonobase.db"
        if there:
            Archive(f"sqlite:///{path}").close()
            path.chmod(0o444)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY.format(nobody=NOBODY), f"sqlite:///{path}"],
            capture_output=True,
            text=True,
            check=False,
        )
        folder.chmod(0o755)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith("DatabaseUnavailable")
    assert "writable" in line or "may be written to" in line

"""What must hold when threads, signals, other programs and other machines come in between."""

import hashlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy.engine import make_url

from phonobase import Archive, Recording, State
from phonobase.errors import CorruptRecording, InvalidAudio, InvalidDetails, RecordingClosed, SchemaError
from phonobase.pcm import Frames
from phonobase.store import schema
from phonobase.store.engine import create_engine
from phonobase.store.recover import WHOLE_OR_NOTHING, may_be_live, recorder_facts
from phonobase.store.writer import RecordingWriter
from tests.store.judge import Raw, frames_of, random_pcm, wait_until

RATE = 8000


@pytest.fixture
def archive(archive_url: str) -> Iterator[Archive]:
    """An empty archive."""
    with Archive(archive_url) as opened:
        yield opened


def _left_open(archive: Archive, seed: int = 1, **capture: object) -> Recording:
    """Leave a recording open as a recorder does that dies; nobody lives who could go on."""
    facts = recorder_facts()
    process = str(facts["process"]).rpartition("/")[0] + "/0"
    writer = archive.writer(RATE, chunk_seconds=0.5, capture={**facts, "process": process, **capture})
    writer.write(frames_of(random_pcm(40_000, 1, "int16", seed=seed), 1, "int16"))
    wait_until(lambda: writer.frames_committed > 0)
    writer._end()
    return archive.get(writer.id)


def _write_all(writer: RecordingWriter, blocks: list[Frames]) -> None:
    for block in blocks:
        writer.write(block)


def test_threads_that_share_a_writer(archive: Archive) -> None:
    """Blocks that several threads write at once are all there, whole, in one sound recording."""
    blocks = [np.full((1000, 1), number, dtype=np.int16) for number in range(1, 201)]
    with archive.writer(RATE, chunk_seconds=0.5) as writer:
        threads = [threading.Thread(target=_write_all, args=(writer, blocks[n::4])) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stored = archive.read(writer.id).reshape(-1, 1000)
    assert sorted(stored[:, 0].tolist()) == list(range(1, 201))
    assert (stored == stored[:, :1]).all()
    assert archive.verify(writer.id).ok


@pytest.fixture
def _heeding_ctrl_c() -> Iterator[None]:
    """Undoes what a shell does to whatever it runs in the background: it ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeding_ctrl_c")
def test_ctrl_c_in_the_middle_of_a_write(migrated_sqlite_url: str) -> None:
    """What is stored of a write that was interrupted is a beginning of the sound, and sound."""
    sound = frames_of(random_pcm(400_000, 1, "int16"), 1, "int16")
    path = str(make_url(migrated_sqlite_url).database)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with Archive(migrated_sqlite_url) as archive:
        writer = archive.writer(RATE, chunk_seconds=0.5)
        release = threading.Timer(1.5, other.execute, ["COMMIT"])
        interrupt = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])

        def write_while_it_is_locked() -> None:
            with writer:
                writer.write(sound[:40_000])
                wait_until(lambda: writer.frames_committed > 0)
                other.execute("BEGIN IMMEDIATE")  # now cuts pile up, and write() waits
                interrupt.start()
                release.start()
                writer.write(sound[40_000:])

        with pytest.raises(KeyboardInterrupt):
            write_while_it_is_locked()
        release.join()
        recording = archive.get(writer.id)
        stored = archive.read(writer.id)
        verified = archive.verify(writer.id)
    other.close()
    assert recording.state is State.INTERRUPTED
    assert np.array_equal(stored, sound[: len(stored)])
    assert verified.faults == ()


def test_a_recording_that_went_on_is_not_closed_as_it_was(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder that was taken for dead and commits while it is being closed goes on."""
    sound = frames_of(random_pcm(40_000, 1, "int16"), 1, "int16")
    with archive.writer(RATE, chunk_seconds=0.5, capture={"host": "elsewhere", "process": "x"}) as writer:
        writer.write(sound)
        wait_until(lambda: writer.frames_committed > 0)
        seen = archive.get(writer.id)
        monkeypatch.setattr(Archive, "find", lambda *_, **__: [seen])
        monkeypatch.setattr("phonobase.store.recover.may_be_live", lambda _recording: False)
        writer.write(sound)
        wait_until(lambda: writer.frames_committed > seen.frame_count)
        assert archive.recover() == []
    assert archive.get(writer.id).state is State.COMPLETE
    assert archive.verify(writer.id).ok


def test_one_that_cannot_be_closed_does_not_keep_the_others_open(archive: Archive, archive_url: str) -> None:
    """A corrupt recording is named, and all others are closed."""
    first, bad, last = (_left_open(archive, seed) for seed in (1, 2, 3))
    with Raw(archive_url) as raw:
        raw.run("DELETE FROM phono_audio WHERE recording_id = ? AND seq = 0", bad.id.hex)
    with pytest.raises(CorruptRecording, match=bad.id.hex):
        archive.recover()
    states = [archive.get(recording.id).state for recording in (first, bad, last)]
    assert states == [State.INTERRUPTED, State.RECORDING, State.INTERRUPTED]


def test_half_an_import_is_taken_back(archive: Archive) -> None:
    """What a killed import left is not a recording of its own: its file is still there."""
    _left_open(archive, **{WHOLE_OR_NOTHING: True})
    assert archive.recover() == []
    assert archive.find() == []


def test_a_recorder_in_another_container_may_live(archive: Archive) -> None:
    """Another container's process cannot be seen from here, so only its last commit tells."""
    process = str(recorder_facts()["process"])
    boot, _, rest = process.split("/", 2)
    left = _left_open(archive, process=f"{boot}/pid:[1]/{rest}")
    assert may_be_live(left)


def test_a_database_in_which_audio_cannot_be_joined(tmp_path: Path) -> None:
    """A host's SQLite file in UTF-16 is refused before it has tables: SQL would give other bytes."""
    path = tmp_path / "host.db"
    with sqlite3.connect(path) as host:
        host.execute("PRAGMA encoding = 'UTF-16le'")
        host.execute("CREATE TABLE orders (id INTEGER)")
    host.close()
    engine = create_engine(f"sqlite:///{path}")
    with pytest.raises(SchemaError, match="UTF-8"):
        schema.upgrade(engine)
    assert schema.current(engine) is None
    engine.dispose()


def test_silence_is_fetched_by_what_it_decodes_to(archive: Archive) -> None:
    """However small the stored bytes are, a batch decodes to a bounded size."""
    silence = np.zeros((60 * 48_000, 8), dtype=np.int16)
    recording = archive.add(silence.tobytes(), 48_000, 8)
    sizes = [frames.nbytes for frames in archive.frames(recording.id)]
    assert sum(sizes) == silence.nbytes
    assert max(sizes) <= 24 * 1024 * 1024


@pytest.mark.parametrize("call", ["add", "writer", "find"])
def test_a_slip_in_a_name_is_not_ignored(archive: Archive, call: str) -> None:
    """A keyword that means nothing is refused, so that nothing is lost and no filter is left out."""
    slip: dict[str, Any] = {"sorce": "x"}
    calls: dict[str, Callable[[], object]] = {
        "add": lambda: archive.add(b"\0\0", RATE, **slip),
        "writer": lambda: archive.writer(RATE, **slip),
        "find": lambda: archive.find(**slip),
    }
    with pytest.raises(TypeError, match="there is no 'sorce' here"):
        calls[call]()


def test_an_array_is_not_taken_for_bytes(archive: Archive) -> None:
    """The memory of an array of another type would be stored as noise."""
    with pytest.raises(InvalidAudio, match="tobytes"):
        archive.add(np.zeros(100), RATE)  # type: ignore[arg-type] # what is refused
    assert archive.find() == []


def test_a_name_elsewhere_that_no_index_holds(archive: Archive) -> None:
    """A name that PostgreSQL could not index is refused before any sound is recorded."""
    assert archive.add(b"\0\0", RATE, external_id="ü" * 500).external_id == "ü" * 500
    with pytest.raises(InvalidDetails, match="500"):
        archive.writer(RATE, external_id="x" * 501)


def test_a_header_without_its_end(archive: Archive, archive_url: str) -> None:
    """A FLAC header cut behind STREAMINFO is no header, though its hash fits."""
    recording = archive.add(random_pcm(40_000, 1, "int16"), RATE)
    cut = recording.header[:42]
    with Raw(archive_url) as raw:
        for column, value in (("header", cut), ("header_sha256", hashlib.sha256(cut).digest())):
            raw.run(f"UPDATE phono_recording SET {column} = ?", value)
    assert [str(fault) for fault in archive.verify(recording.id).faults] == [
        "its header is not that of its sound"
    ]


def test_whoever_writes_behind_a_close_is_told(archive: Archive) -> None:
    """A writer whose recording was closed by another does not write into it."""
    writer: RecordingWriter = archive.writer(RATE, chunk_seconds=0.5)
    sound = frames_of(random_pcm(40_000, 1, "int16"), 1, "int16")
    writer.write(sound)
    wait_until(lambda: writer.frames_committed > 0)
    with archive.writing() as repository:
        repository.close_as_stored(writer.id)
    with pytest.raises(RecordingClosed):  # noqa: PT012 - whichever write comes after the commit that fails
        for _ in range(100):
            writer.write(sound)
            time.sleep(0.05)
    assert archive.verify(writer.id).ok

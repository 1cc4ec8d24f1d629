from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from phonobase import Archive, AudioFormat, SampleFormat
from phonobase.audio import encoding as encodings
from phonobase.audio.encoding import Encoding
from tests.store.judge import Raw, frames_of, random_pcm, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

CHUNKS = 5
LAST = CHUNKS - 1
ASIDE = 1_000_000
"""A number no chunk has, for swaps: a primary key is never free of its rows for a moment."""


class Victim:
    """A recording of five chunks, and what is done to it behind phonobase's back."""

    def __init__(self, archive: Archive, raw: Raw, encoding: str) -> None:
        self.archive = archive
        self.raw = raw
        self.encoding = encoding
        self.id = self.make("victim", seed=1)

    def make(self, source: str, seed: int) -> UUID:
        """Stores a recording of five chunks and returns its id."""
        frames = frames_of(random_pcm(4096 * CHUNKS, 1, "int16", seed), 1, "int16")
        with self.archive.writer(
            4096,
            source=source,
            encoding=self.encoding,
            chunk_seconds=1.0,
            started_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        ) as writer:
            writer.write(frames)
        assert writer.close().chunk_count == CHUNKS
        return writer.id

    def faults(self) -> list[tuple[int | None, str]]:
        """Returns what `verify` finds, place by place."""
        result = self.archive.verify(self.id)
        assert result.ok == (not result.faults)
        assert result.decoded
        return [(fault.seq, fault.message) for fault in result.faults]

    def seqs(self) -> list[int | None]:
        """Returns the places where `verify` finds something."""
        return [seq for seq, _ in self.faults()]

    def run(self, sql: str, *values: object) -> None:
        """Changes exactly the rows that a statement names, and there must be some."""
        assert self.raw.run(sql, *values) > 0

    def get(self, table: str, column: str, seq: int) -> Any:  # noqa: ANN401 - whatever the column holds
        """Returns what a row of a chunk holds."""
        return self.raw.value(
            f"SELECT {column} FROM {table} WHERE recording_id = ? AND seq = ?", self.id.hex, seq
        )

    def put(self, table: str, column: str, seq: int, value: object) -> None:
        """Makes a row of a chunk hold something else."""
        self.run(
            f"UPDATE {table} SET {column} = ? WHERE recording_id = ? AND seq = ?", value, self.id.hex, seq
        )

    def flip(self, table: str, column: str, seq: int) -> None:
        """Flips one bit in the middle."""
        self.put(table, column, seq, _flipped(self.get(table, column, seq)))

    def change(self, column: str, value: object) -> None:
        """Changes a column of the recording."""
        self.run(f"UPDATE phono_recording SET {column} = ? WHERE id = ?", value, self.id.hex)

    def remove(self, seq: int) -> None:
        """Removes a chunk with its audio."""
        for table in ("phono_audio", "phono_chunk"):
            self.run(f"DELETE FROM {table} WHERE recording_id = ? AND seq = ?", self.id.hex, seq)

    def renumber(self, seq: int, to: int) -> None:
        """Gives a chunk another number."""
        for table in ("phono_audio", "phono_chunk"):
            self.run(f"UPDATE {table} SET seq = ? WHERE recording_id = ? AND seq = ?", to, self.id.hex, seq)


@pytest.fixture(params=["flac", "pcm"])
def victim(request: pytest.FixtureRequest, shared_archive: Archive, shared_url: str) -> Iterator[Victim]:
    """A recording in each encoding, on each database."""
    with Raw(shared_url) as raw:
        made = Victim(shared_archive, raw, request.param)
        yield made


def test_what_nobody_touched_passes(victim: Victim) -> None:
    """Nothing is wrong with a recording as it was recorded."""
    assert victim.faults() == []


@pytest.mark.parametrize("seq", range(CHUNKS))
def test_a_bit_of_the_audio(victim: Victim, seq: int) -> None:
    """One flipped bit in the audio of a chunk is found in that chunk, and nowhere else."""
    victim.flip("phono_audio", "data", seq)
    assert victim.faults() == [(seq, "its audio and its sha256 differ: one of them was changed")]


@pytest.mark.parametrize("seq", [0, 2, LAST])
def test_a_bit_of_a_chunk_hash(victim: Victim, seq: int) -> None:
    """One flipped bit in a chunk's sha256 is found in that chunk: neither audio nor chain fit it."""
    victim.flip("phono_chunk", "sha256", seq)
    assert victim.faults() == [
        (seq, "its audio and its sha256 differ: one of them was changed"),
        (seq, "its chain differs: it, its place or what the recording is was changed"),
    ]


@pytest.mark.parametrize("seq", [0, 2, LAST])
def test_a_bit_of_a_link(victim: Victim, seq: int) -> None:
    """One flipped bit in a chunk's chain is found in that chunk; the last one is also the chain's head."""
    victim.flip("phono_chunk", "chain", seq)
    expected = [(seq, "its chain differs: it, its place or what the recording is was changed")]
    assert victim.faults() == expected + [(None, "its chain_head is not that of its chunks")] * (seq == LAST)


@pytest.mark.parametrize("seq", [0, 2, LAST])
def test_audio_changed_together_with_its_hash(victim: Victim, seq: int) -> None:
    """Whoever changes a chunk's audio and its sha256 has not changed the chain."""
    data = _flipped(victim.get("phono_audio", "data", seq))
    victim.put("phono_audio", "data", seq, data)
    victim.put("phono_chunk", "sha256", seq, hashlib.sha256(data).digest())
    assert victim.faults() == [(seq, "its chain differs: it, its place or what the recording is was changed")]


def test_audio_changed_together_with_all_hashes_but_one(victim: Victim) -> None:
    """Whoever forges audio, sha256, chain and chain_head has not changed the hash of the sound."""
    seq = LAST
    data = bytearray(victim.get("phono_audio", "data", seq))
    if victim.encoding == "flac":  # FLAC frames check themselves, so a forger needs whole ones
        data = bytearray(
            victim.raw.value(
                "SELECT data FROM phono_audio WHERE recording_id = ? AND seq = ?",
                victim.make("forger", seed=8).hex,
                seq,
            )
        )
    else:
        data[7] ^= 1
    sha256 = hashlib.sha256(data).digest()
    link = _link(victim.get("phono_chunk", "chain", seq - 1), seq, 4096 * seq, 4096, sha256)
    victim.put("phono_audio", "data", seq, bytes(data))
    victim.put("phono_chunk", "sha256", seq, sha256)
    victim.put("phono_chunk", "chain", seq, link)
    first_byte = victim.get("phono_chunk", "first_byte", seq)
    victim.put("phono_chunk", "byte_count", seq, len(data))
    victim.change("byte_count", first_byte + len(data))
    victim.change("chain_head", link)
    assert victim.faults()[0] == (None, "its pcm_sha256 is not that of its chunks")
    assert set(victim.seqs()) == {None, seq}  # the outline tells where


@pytest.mark.parametrize("column", ["peak_dbfs", "rms_dbfs"])
def test_a_loud_clip_made_quiet(victim: Victim, column: str) -> None:
    """A level that is not that of the sound is found, of a chunk and of the recording."""
    before = victim.get("phono_chunk", column, 2)
    victim.put("phono_chunk", column, 2, before - 20)
    assert victim.faults() == [(2, "its level is not that of its sound")]
    victim.put("phono_chunk", column, 2, before)
    victim.change(column, -60.0)
    assert victim.faults() == [(None, f"its {column} is not that of its chunks")]


def test_an_outline_of_other_sound(victim: Victim) -> None:
    """A waveform that shows something else than the sound is found."""
    victim.put("phono_chunk", "peaks", 2, _flipped(victim.get("phono_chunk", "peaks", 2)))
    assert victim.faults() == [(2, "its peaks are not the outline of its sound")]


def test_what_follows_from_the_sound(victim: Victim) -> None:
    """An end, a number of clipped frames or a media type that does not fit the sound is found."""
    row = victim.archive.get(victim.id)
    for column, value in {
        "ended_at": _stored(victim, row.ended_at + timedelta(microseconds=1)),
        "clipped_frames": row.clipped_frames + 1,
        "media_type": "audio/ogg",
    }.items():
        before = {"ended_at": _stored(victim, row.ended_at)}.get(column, getattr(row, column))
        victim.change(column, value)
        assert victim.faults() == [(None, f"its {column} is not that of its chunks")]
        victim.change(column, before)
    assert victim.faults() == []


@pytest.mark.parametrize("column", ["header", "header_sha256"])
def test_a_bit_of_the_header_or_its_hash(victim: Victim, column: str) -> None:
    """One flipped bit in the header or in its hash is found."""
    header = victim.raw.value(f"SELECT {column} FROM phono_recording WHERE id = ?", victim.id.hex)
    victim.change(column, _flipped(header))
    assert victim.faults() == [(None, "its header_sha256 is not that of its chunks")]


def test_a_header_changed_together_with_its_hash(victim: Victim) -> None:
    """A header that promises something else than the sound is found, though its hash is right."""
    form = AudioFormat(4096, 1, SampleFormat.INT16)
    header = encodings.header(Encoding(victim.encoding), form, 4096 * CHUNKS - 1, b"\1" * 16)
    victim.change("header", header)
    victim.change("header_sha256", hashlib.sha256(header).digest())
    assert victim.faults() == [(None, "its header is not that of its sound")]


@pytest.mark.parametrize("column", ["pcm_sha256", "chain_head"])
def test_a_bit_of_the_recordings_hashes(victim: Victim, column: str) -> None:
    """One flipped bit in the hash of the sound or in the head of the chain is found, and named."""
    value = victim.raw.value(f"SELECT {column} FROM phono_recording WHERE id = ?", victim.id.hex)
    victim.change(column, _flipped(value))
    assert victim.faults() == [(None, f"its {column} is not that of its chunks")]


@pytest.mark.parametrize("seq", [0, 2])
def test_a_removed_chunk(victim: Victim, seq: int) -> None:
    """A chunk that was removed is named as missing; those behind it are where they were."""
    victim.remove(seq)
    assert (seq, "is missing") in victim.faults()
    assert set(victim.seqs()) <= {seq, seq + 1}


def test_the_last_chunk_removed(victim: Victim) -> None:
    """A recording whose end was cut off does not pass as a shorter one."""
    victim.remove(LAST)
    assert victim.faults() == [
        (LAST, f"is missing, and all behind it to {LAST}"),
        (None, "its chain_head is not that of its chunks"),
        (None, "its frame_count is not that of its chunks"),
        (None, "its byte_count is not that of its chunks"),
    ]


def test_all_chunks_removed(victim: Victim) -> None:
    """A recording of which nothing is left says so."""
    for seq in range(CHUNKS):
        victim.remove(seq)
    assert victim.faults()[0] == (0, f"is missing, and all behind it to {LAST}")


@pytest.mark.parametrize("seq", [0, 2, LAST])
def test_removed_audio(victim: Victim, seq: int) -> None:
    """A chunk without its audio is named."""
    victim.run("DELETE FROM phono_audio WHERE recording_id = ? AND seq = ?", victim.id.hex, seq)
    assert victim.faults() == [(seq, "its audio is missing")]


def test_audio_without_a_chunk(victim: Victim) -> None:
    """Audio that belongs to no chunk was added by somebody: it would be played with the clip."""
    victim.run(
        "INSERT INTO phono_audio (recording_id, seq, data) SELECT recording_id, ?, data FROM phono_audio"
        " WHERE recording_id = ? AND seq = 0",
        CHUNKS,
        victim.id.hex,
    )
    assert victim.faults() == [(None, "1 audio rows belong to no chunk: something was added")]


def test_the_audio_of_two_chunks_swapped(victim: Victim) -> None:
    """Two chunks that hold each other's audio are both named."""
    one, two = (victim.get("phono_audio", "data", seq) for seq in (1, 3))
    victim.put("phono_audio", "data", 1, two)
    victim.put("phono_audio", "data", 3, one)
    assert victim.seqs() == [1, 3]


def test_two_chunks_swapped(victim: Victim) -> None:
    """Two whole chunks in each other's place are named, though each in itself is as it was."""
    victim.renumber(1, ASIDE)
    victim.renumber(3, 1)
    victim.renumber(ASIDE, 3)
    found = victim.seqs()
    assert found[0] == 1
    assert {1, 3} <= set(found) <= {1, 2, 3, 4}


def test_two_chunks_swapped_with_their_places_made_right(victim: Victim) -> None:
    """Reordered sound is found even where every place and every sha256 was made to fit."""
    rows = {
        seq: [
            victim.get(table, column, seq)
            for table, column in (("phono_audio", "data"), ("phono_chunk", "sha256"))
        ]
        for seq in (1, 2)
    }
    for seq, other in ((1, 2), (2, 1)):
        victim.put("phono_audio", "data", seq, rows[other][0])
        victim.put("phono_chunk", "sha256", seq, rows[other][1])
        victim.put("phono_chunk", "byte_count", seq, len(rows[other][0]))
    victim.put("phono_chunk", "first_byte", 2, victim.get("phono_chunk", "first_byte", 1) + len(rows[2][0]))
    message = "its chain differs: it, its place or what the recording is was changed"
    assert victim.faults() == [(1, message), (2, message)]


def test_an_appended_chunk(victim: Victim) -> None:
    """A chunk behind the last one is named as added."""
    _copy_chunk(victim, victim.id, 0, CHUNKS)
    end = victim.archive.get(victim.id)
    victim.put("phono_chunk", "first_frame", CHUNKS, end.frame_count)
    victim.put("phono_chunk", "first_byte", CHUNKS, end.byte_count)
    assert victim.faults()[0] == (CHUNKS, f"was added: the recording has {CHUNKS} chunks")


def test_an_appended_chunk_that_the_recording_counts(victim: Victim) -> None:
    """A chunk behind the last one breaks the chain even where the recording was made to count it."""
    _copy_chunk(victim, victim.id, 0, CHUNKS)
    end = victim.archive.get(victim.id)
    size = victim.get("phono_chunk", "byte_count", 0)
    victim.put("phono_chunk", "first_frame", CHUNKS, end.frame_count)
    victim.put("phono_chunk", "first_byte", CHUNKS, end.byte_count)
    victim.run(
        "UPDATE phono_recording SET chunk_count = ?, frame_count = ?, byte_count = ? WHERE id = ?",
        CHUNKS + 1,
        end.frame_count + 4096,
        end.byte_count + size,
        victim.id.hex,
    )
    assert victim.seqs()[0] == CHUNKS


@pytest.mark.parametrize("seq", [0, 2, LAST])
def test_a_chunk_of_another_recording(victim: Victim, seq: int) -> None:
    """A whole chunk taken from another recording, with all its hashes, is named."""
    other = victim.make("victim", seed=2)
    victim.remove(seq)
    _copy_chunk(victim, other, seq, seq)
    assert victim.seqs()[0] == seq
    assert set(victim.seqs()) <= {seq, seq + 1, None}


def test_all_chunks_of_another_recording(victim: Victim) -> None:
    """The whole sound of another recording, hashes, header and all, is not this recording's."""
    other = victim.make("victim", seed=2)
    for seq in range(CHUNKS):
        victim.remove(seq)
        _copy_chunk(victim, other, seq, seq)
    row = victim.archive.get(other)
    for column in ("header", "header_sha256", "pcm_sha256", "chain_head", "byte_count"):
        victim.change(column, getattr(row, column))
    assert victim.faults() == [(0, "its chain differs: it, its place or what the recording is was changed")]


def test_what_the_recording_is(victim: Victim) -> None:
    """A recording said to be of another source, time, rate or format does not fit its chain."""
    victim.make("somebody else", seed=3)
    row = victim.archive.get(victim.id)
    moment = row.started_at + timedelta(microseconds=1)
    changes: dict[str, tuple[object, object]] = {
        "source": ("victim", "somebody else"),
        "started_at": (_stored(victim, row.started_at), _stored(victim, moment)),
        "sample_rate": (4096, 4097),
        "channels": (1, 2),
        "sample_format": ("int16", "int24"),
        "encoding": (victim.encoding, {"flac": "pcm", "pcm": "flac"}[victim.encoding]),
    }
    for column, (before, after) in changes.items():
        victim.change(column, after)
        assert victim.seqs()[0] == 0, column
        assert "its chain differs" in victim.faults()[0][1], column
        victim.change(column, before)
        assert victim.faults() == [], column


@pytest.mark.parametrize(
    ("column", "value"),
    [("frame_count", 4096 * CHUNKS - 1), ("frame_count", 4096 * CHUNKS + 1), ("byte_count", 1)],
)
def test_the_recordings_totals(victim: Victim, column: str, value: int) -> None:
    """A recording said to be longer or shorter than its chunks is found."""
    victim.change(column, value)
    assert victim.faults() == [(None, f"its {column} is not that of its chunks")]


@pytest.mark.parametrize("count", [1, CHUNKS - 1, CHUNKS + 1])
def test_the_number_of_chunks(victim: Victim, count: int) -> None:
    """A recording said to have more or fewer chunks is found where they should end."""
    victim.change("chunk_count", count)
    assert victim.seqs()[0] == min(count, CHUNKS)


@pytest.mark.parametrize("seq", [0, 2, LAST])
@pytest.mark.parametrize("column", ["first_frame", "frame_count", "first_byte"])
def test_the_place_of_a_chunk(victim: Victim, column: str, seq: int) -> None:
    """A chunk said to lie elsewhere or to be longer is named."""
    victim.put("phono_chunk", column, seq, victim.get("phono_chunk", column, seq) + 1)
    assert victim.seqs()[0] == seq


@pytest.mark.parametrize("encoding", ["flac", "pcm"])
def test_an_open_recording(shared_archive: Archive, shared_url: str, encoding: str) -> None:
    """What is being recorded passes as far as it goes, and a flipped bit in it is found."""
    samples = frames_of(random_pcm(4096 * CHUNKS, 1, "int16"), 1, "int16")
    with (
        shared_archive.writer(4096, encoding=encoding, chunk_seconds=1.0) as writer,
        Raw(shared_url) as raw,
    ):
        writer.write(samples)
        wait_until(lambda: writer.frames_committed >= 2 * 4096)
        result = shared_archive.verify(writer.id)
        assert (result.ok, result.decoded) == (True, False)
        assert result.recording.frame_count >= 2 * 4096
        data = raw.value("SELECT data FROM phono_audio WHERE recording_id = ? AND seq = 1", writer.id.hex)
        update = "UPDATE phono_audio SET data = ? WHERE recording_id = ? AND seq = 1"
        raw.run(update, _flipped(data), writer.id.hex)
        assert [fault.seq for fault in shared_archive.verify(writer.id).faults] == [1]
        raw.run(update, data, writer.id.hex)
    assert shared_archive.verify(writer.id).ok


def test_progress_counts_every_byte(victim: Victim) -> None:
    """What `verify` reports while it reads adds up to the audio of the recording."""
    read: list[int] = []
    result = victim.archive.verify(victim.id, read.append)
    assert sum(read) == result.recording.byte_count


def _copy_chunk(victim: Victim, other: UUID, seq: int, to: int) -> None:
    columns = (
        "first_frame, frame_count, first_byte, byte_count, captured_at,"
        " peak_dbfs, rms_dbfs, peaks, sha256, chain"
    )
    if other == victim.id:  # its first frame and byte are unique in a recording
        columns = columns.replace("first_frame,", f"first_frame + {ASIDE} AS first_frame,")
        columns = columns.replace("first_byte,", f"first_byte + {ASIDE} AS first_byte,")
    names = columns.replace(f"first_frame + {ASIDE} AS ", "").replace(f"first_byte + {ASIDE} AS ", "")
    found = victim.raw.rows(
        f"SELECT {columns} FROM phono_chunk WHERE recording_id = ? AND seq = ?", other.hex, seq
    )
    places = ", ".join("?" * (len(found[0]) + 2))
    victim.run(
        f"INSERT INTO phono_chunk (recording_id, seq, {names}) VALUES ({places})",
        victim.id.hex,
        to,
        *found[0],
    )
    data = victim.raw.value("SELECT data FROM phono_audio WHERE recording_id = ? AND seq = ?", other.hex, seq)
    victim.run("INSERT INTO phono_audio (recording_id, seq, data) VALUES (?, ?, ?)", victim.id.hex, to, data)


def _flipped(value: bytes) -> bytes:
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 0x10]) + value[middle + 1 :]


def _link(previous: bytes, seq: int, first_frame: int, frame_count: int, sha256: bytes) -> bytes:
    numbers = b"".join(number.to_bytes(8, "big") for number in (seq, first_frame, frame_count))
    return hashlib.sha256(previous + numbers + sha256).digest()


def _stored(victim: Victim, moment: datetime) -> object:
    """Returns a moment as the database's own driver would write it."""
    if victim.raw.is_sqlite:
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return moment

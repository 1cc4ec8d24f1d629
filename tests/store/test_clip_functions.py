from __future__ import annotations

import base64
import random
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from phonobase import Archive
from phonobase.audio import wav
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.store.judge import Program, Raw, ffmpeg_pcm, flac_test, frames_of, pcm_of, random_pcm
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phonobase import Recording

BEGAN = datetime(2026, 3, 1, 23, 59, 50, tzinfo=UTC)


@pytest.fixture
def clips(migrated_postgres_url: str) -> Iterator[Archive]:
    """An empty archive on PostgreSQL, which alone has functions."""
    with Archive(migrated_postgres_url) as opened:
        yield opened


@pytest.fixture
def psql(migrated_postgres_url: str) -> Program:
    """The same by psql."""
    return Program(migrated_postgres_url)


@pytest.mark.parametrize(
    ("rate", "channels", "dtype", "encoding"),
    [
        (8000, 1, "int16", "flac"),
        (44_100, 2, "int24", "flac"),
        (8000, 2, "int16", "pcm"),
        (11_025, 1, "int24", "pcm"),
        (8000, 3, "float32", "pcm"),
    ],
)
def test_a_clip_is_a_file_of_the_chunks_that_hold_it(
    clips: Archive, psql: Program, tmp_path: Path, rate: int, channels: int, dtype: str, encoding: str
) -> None:
    """Whatever is asked for, flac or ffmpeg decode the whole chunks around it, to the sample."""
    recording = _recorded(clips, rate, channels, dtype, encoding)
    chunks = _chunks(recording, psql)
    assert len(chunks) > 6
    chance = random.Random(rate)
    bounds = [(0.0, 5.0), (0.0, 0.001), (1 / rate, 2 / rate), (4.9, 9.0)]
    bounds += [
        (begin, begin + chance.uniform(0.001, 3)) for begin in (chance.uniform(0, 4) for _ in range(4))
    ]

    for begin, end in bounds:
        clip = f"phono_clip('{recording.id}', {begin!r}, {end!r})"
        path = _fetched(psql, clip, tmp_path / f"clip{recording.encoding.suffix}")

        inside = [chunk for chunk in chunks if chunk[0] < end * rate and chunk[1] > begin * rate]
        expected = pcm_of(clips.read(recording.id, inside[0][0], inside[-1][1]), dtype)
        assert ffmpeg_pcm(path, dtype) == expected
        assert _probed_frames(path) == inside[-1][1] - inside[0][0]
        if encoding == "flac":
            flac_test(path)


def test_a_clip_of_the_whole_holds_all(clips: Archive, psql: Program, tmp_path: Path) -> None:
    """Without bounds, or with one that lies behind the end, it is the recording from there on."""
    recording = _recorded(clips, 8000, 1, "int16", "flac")
    whole = pcm_of(clips.read(recording.id), "int16")
    for bounds in ("", ", 0", ", 0, 1e300", ", 0, 'Infinity'", ", NULL, NULL", ", to_seconds => 5"):
        path = _fetched(psql, f"phono_clip('{recording.id}'{bounds})", tmp_path / "whole.flac")
        assert ffmpeg_pcm(path, "int16") == whole, bounds


@pytest.mark.parametrize("bounds", ["5, 9", "1, 1", "86400, 1e9", "1e300, 1e301"])
def test_there_is_no_clip_without_sound(clips: Archive, psql: Program, bounds: str) -> None:
    """Behind the end, of no length, or of a recording that is not there, it is NULL."""
    recording = _recorded(clips, 8000, 1, "int16", "flac")
    assert psql.value(f"SELECT phono_clip('{recording.id}', {bounds}) IS NULL") == "t"
    assert psql.value("SELECT phono_clip(gen_random_uuid(), 0, 1) IS NULL") == "t"


@pytest.mark.parametrize("bounds", ["-1, 2", "2, 1", "'NaN', 2", "1, 'NaN'", "'Infinity', NULL"])
def test_bounds_that_are_none_are_refused(clips: Archive, psql: Program, bounds: str) -> None:
    """Bounds that cannot be meant are an error in one line, also of a recording that is not there."""
    del clips
    with pytest.raises(AssertionError, match=r"there is no clip from .* count from 0, the first before"):
        psql.value(f"SELECT phono_clip(gen_random_uuid(), {bounds})")


def test_a_missing_chunk_is_no_silence(clips: Archive, psql: Program, raw: Raw) -> None:
    """Where a chunk's audio is gone, a clip that needs it fails, and one that does not is there."""
    recording = _recorded(clips, 8000, 1, "int16", "flac")
    raw.run("DELETE FROM phono_audio WHERE seq = 3")

    with pytest.raises(AssertionError, match=r"lacks chunks between 0 and .*see: phonobase verify"):
        psql.value(f"SELECT phono_clip('{recording.id}')")
    assert int(psql.value(f"SELECT length(phono_clip('{recording.id}', 0, 1))")) > 8000


@pytest.fixture
def raw(migrated_postgres_url: str) -> Iterator[Raw]:
    """The same through the plain driver."""
    with Raw(migrated_postgres_url) as opened:
        yield opened


def test_a_part_of_what_is_larger_than_4_gib_is_a_plain_wav(
    clips: Archive, psql: Program, raw: Raw, tmp_path: Path
) -> None:
    """A header that has become RF64 is one of RIFF before a part that fits it."""
    recording = _recorded(clips, 8000, 2, "float32", "pcm")
    large = wav.header(recording.format, 2**32)
    assert large.startswith(b"RF64")
    assert len(large) == len(wav.header(recording.format, 1))
    raw.run("UPDATE phono_recording SET header = ?", large)

    path = _fetched(psql, f"phono_clip('{recording.id}', 1, 2)", tmp_path / "part.wav")

    frames = _probed_frames(path)
    assert path.read_bytes()[: len(large)] == wav.header(recording.format, frames)
    assert ffmpeg_pcm(path, "float32") in pcm_of(clips.read(recording.id), "float32")


def test_a_clip_reads_the_chunks_it_needs(clips: Archive, psql: Program) -> None:
    """By the server's own count, a tenth of a recording costs a tenth of its pages of audio."""
    with clips.writer(8000, source="desk", encoding="pcm", chunk_seconds=0.512) as writer:
        writer.write(memoryview(random_pcm(8000 * 60, 1, "int16")).cast("h"))
    whole, tenth = (
        _pages_read(psql, f"SELECT length(phono_clip('{writer.id}', {bounds}))")
        for bounds in ("0, 60", "30, 36")
    )
    assert 0.08 * whole < tenth < 0.15 * whole


def test_a_part_says_where_it_begins(clips: Archive, psql: Program, tmp_path: Path) -> None:
    """By frames it is the same file, beside what the chunks around the frames begin and end with."""
    recording = _recorded(clips, 8000, 1, "int16", "flac")
    (first, _), (_, behind) = _chunks(recording, psql)[2:4]

    part = f"phono_part('{recording.id}', {first + 1}, {behind - 1})"

    assert psql.value(f"SELECT first_frame, frame_count FROM {part}") == f"{first}|{behind - first}"
    path = _fetched(psql, f"(SELECT audio FROM {part})", tmp_path / "part.flac")
    assert ffmpeg_pcm(path, "int16") == pcm_of(clips.read(recording.id, first, behind), "int16")
    with pytest.raises(AssertionError, match="there are no frames from 5 to 4"):
        psql.value(f"SELECT first_frame FROM phono_part('{recording.id}', 5, 4)")


def test_a_cut_is_the_parts_of_all_recordings(clips: Archive, psql: Program, tmp_path: Path) -> None:
    """A period of a source is a file for each recording that has sound in it, with the file's own time."""
    first = clips.add(random_pcm(80_000, 1, "int16"), 8000, source="desk", started_at=BEGAN)
    second = clips.add(
        random_pcm(80_000, 1, "int16", seed=2), 8000, source="desk", started_at=BEGAN + timedelta(seconds=12)
    )
    clips.add(random_pcm(80_000, 1, "int16", seed=3), 8000, source="door", started_at=BEGAN)
    period = "'2026-03-01 23:59:57+00', '2026-03-02 00:00:03+00'"

    found = psql.lines(
        "SELECT recording_id, started_at AT TIME ZONE 'UTC', ended_at AT TIME ZONE 'UTC'"
        f" FROM phono_cut('desk', {period})"
    )

    assert found == [
        f"{first.id}|2026-03-01 23:59:56.144|2026-03-02 00:00:00",
        f"{second.id}|2026-03-02 00:00:02|2026-03-02 00:00:04.048",
    ]
    sound = f"(SELECT audio FROM phono_cut('desk', {period}) LIMIT 1)"
    path = _fetched(psql, sound, tmp_path / "cut.flac")
    assert ffmpeg_pcm(path, "int16") == pcm_of(clips.read(first.id, 49_152), "int16")
    assert psql.lines("SELECT 1 FROM phono_cut('desk', '2027-01-01+00', 'infinity')") == []
    assert len(psql.lines("SELECT 1 FROM phono_cut('desk', '-infinity', 'infinity')")) == 2
    with pytest.raises(AssertionError, match=r"there is no time from .* name the earlier first"):
        psql.lines("SELECT 1 FROM phono_cut('desk', '2027-01-01+00', '2026-01-01+00')")


def test_functions_find_their_tables_in_a_schema_of_their_own(postgres_url: str, tmp_path: Path) -> None:
    """Called by whoever has other schemas in its path, and a table of the same name in a temporary one."""
    program = Program(postgres_url)
    program.run_script("CREATE SCHEMA sound")
    url = make_url(postgres_url).update_query_dict({"options": "-csearch_path=sound"})
    engine = create_engine(url)
    schema.upgrade(engine)
    with Archive(engine) as archive:
        recording = archive.add(random_pcm(8000, 1, "int16"), 8000)
    engine.dispose()

    path = _fetched(program, f"sound.phono_clip('{recording.id}', 0, 1)", tmp_path / "clip.flac")

    assert ffmpeg_pcm(path, "int16") == random_pcm(8000, 1, "int16")
    program.run_script(
        "CREATE TEMP TABLE phono_commit (recording_id uuid PRIMARY KEY, place bigint);"
        f"UPDATE sound.phono_recording SET chunk_count = chunk_count WHERE id = '{recording.id}';"
        "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_temp.phono_commit); END $$;"
    )


def _recorded(archive: Archive, rate: int, channels: int, dtype: str, encoding: str) -> Recording:
    """Stores almost five seconds of noise in chunks of half a second, about."""
    whole = frames_of(random_pcm(5 * rate - 17, channels, dtype), channels, dtype)
    with archive.writer(
        rate, channels, dtype, source="desk", started_at=BEGAN, encoding=encoding, chunk_seconds=0.5
    ) as writer:
        writer.write(whole)
    return archive.get(writer.id)


def _chunks(recording: Recording, psql: Program) -> list[tuple[int, int]]:
    """Returns the first frame of each chunk, and the frame behind its last."""
    lines = psql.lines(
        "SELECT first_frame, first_frame + frame_count FROM phono_chunk"
        f" WHERE recording_id = '{recording.id}' ORDER BY seq"
    )
    return [(int(first), int(behind)) for first, behind in (line.split("|") for line in lines)]


def _fetched(psql: Program, value: str, path: Path) -> Path:
    """Writes a value of bytes to a file."""
    path.write_bytes(base64.b64decode("".join(psql.lines(f"SELECT encode({value}, 'base64')"))))
    return path


def _probed_frames(path: Path) -> int:
    """Returns the frames that a file's header says are in it, as ffprobe understands it."""
    command = [require("ffprobe"), "-v", "error", "-show_entries", "stream=duration_ts", "-of", "csv=p=0"]
    return int(subprocess.check_output([*command, path], text=True))


def _pages_read(psql: Program, select: str) -> int:
    """Returns how many pages of audio a query looks at."""
    seen = "SELECT toast_blks_read + toast_blks_hit FROM pg_statio_user_tables WHERE relname = 'phono_audio';"
    flush = "DO $$ BEGIN PERFORM pg_stat_force_next_flush(); END $$;"
    before, _, after = psql.lines(f"{flush} {seen} {select}; {flush} {seen}")
    return int(after) - int(before)

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase import Archive, State
from phonobase.aio import AsyncArchive
from phonobase.errors import DatabaseUnavailable, InvalidAudio, StoreError
from phonobase.store.database import Database
from phonobase.store.engine import create_engine
from tests.store.judge import Program, flac_pcm, frames_of, pcm_of, random_pcm

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PCM = random_pcm(12_000, 2, "int16")
FRAMES = frames_of(PCM, 2, "int16")
NOT_FOR_HOSTS = {"session", "one_moment", "engine", "path", "stored", "writing", "reading", "close"}
"""Sessions and connections, which belong to the thread that uses them; it is closed by leaving it."""


def test_everything_is_awaited(archive_url: str, program: Program, tmp_path: Path) -> None:
    """Sound is added, found, read, streamed, verified and deleted, each call a transaction of its own."""

    async def use() -> None:
        async with AsyncArchive(archive_url) as archive:
            stored = await archive.add(PCM, 8000, 2, source="desk", started_at=NOON)
            assert program.value("SELECT seconds FROM phono_clips") == "1.5"
            assert await archive.find(source="desk") == [await archive.get("last")]
            assert pcm_of(await archive.read(stored.id, 3, 9), "int16") == PCM[12:36]
            blocks = [block async for block in archive.frames(stored.id)]
            assert pcm_of(np.concatenate(blocks), "int16") == PCM
            file = await archive.open(stored.id)
            (tmp_path / "a.flac").write_bytes(b"".join([piece async for piece in file.pieces()]))
            assert (await archive.verify(stored.id)).ok
            cut = await archive.cut("desk", NOON, NOON + timedelta(seconds=1))
            heard = [block async for block in archive.sound(cut.takes[0])]
            assert pcm_of(np.concatenate(heard), "int16") == PCM[:32_000]
            await archive.delete(stored.id, "enough")
            (gap,) = await archive.gaps("desk")
            assert (gap.cause, gap.ended_at) == ("deleted", NOON + timedelta(seconds=1.5))
            assert (await archive.coverage("desk", NOON, gap.ended_at)).lost_us == {"deleted": 1_500_000}

    asyncio.run(use())
    assert flac_pcm(tmp_path / "a.flac") == PCM


def test_sound_that_arrives_bit_by_bit(archive_url: str) -> None:
    """A writer takes blocks and losses while they come, and completes the recording at the end."""

    async def use() -> None:
        async with AsyncArchive(archive_url) as archive:
            async with archive.writer(8000, 2, source="line", started_at=NOON) as writer:
                await writer.write(FRAMES[:5000])
                await writer.lose(100, "overflow", "the line was down")
                await writer.write(FRAMES[5000:])
                assert writer.frames_written == 12_100
            assert writer.frames_committed == 12_100
            stored = await archive.get(writer.id)
            assert (stored.state, stored.frame_count) == (State.COMPLETE, 12_100)
            assert await writer.close() == stored
            expected = PCM[: 5000 * 4] + bytes(400) + PCM[5000 * 4 :]
            assert pcm_of(await archive.read(writer.id), "int16") == expected
            assert [gap.first_frame for gap in await archive.gaps("line")] == [5000]
            with pytest.raises(InvalidAudio, match="no frame"):
                async with archive.writer(8000):
                    pass

    asyncio.run(use())


def test_a_cancelled_writer_keeps_what_it_was_given(archive_url: str) -> None:
    """Where the task that writes is cancelled, as by a caller who hangs up, what was written is stored."""

    async def call(archive: AsyncArchive) -> None:
        async with archive.writer(8000, 2, source="line") as writer:
            await writer.write(FRAMES)
            await asyncio.Event().wait()

    async def use() -> None:
        async with AsyncArchive(archive_url) as archive:
            task = asyncio.create_task(call(archive))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            stored = await archive.get("last")
            assert stored.state is State.INTERRUPTED
            assert pcm_of(await archive.read(stored.id), "int16") == PCM

    asyncio.run(use())


def test_many_followers_wait_at_once(archive_url: str) -> None:
    """More followers than there are threads to share get each part once, and are left without waiting."""

    async def follow(archive: AsyncArchive, after: str, heard: asyncio.Queue[bytes]) -> None:
        async for part in archive.follow("desk", after):
            frames = await archive.read(part.recording.id, part.first_frame, part.end_frame)
            heard.put_nowait(pcm_of(frames, "int16"))

    async def use() -> None:
        async with AsyncArchive(archive_url) as archive:
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            after = await archive.position("desk")
            tasks = [asyncio.create_task(follow(archive, after, heard)) for _ in range(40)]
            await archive.add(PCM, 8000, 2, source="desk")
            await archive.add(PCM, 8000, 2, source="another")
            assert [await heard.get() for _ in tasks] == [PCM] * 40
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert heard.empty()
            until_idle = archive.follow("desk", "start", idle_seconds=0)
            assert [part.frame_count async for part in until_idle] == [12_000]

    asyncio.run(use())


def test_it_is_opened_first(archive_url: str, tmp_path: Path) -> None:
    """What is not open says how to open it; what cannot be opened says why; a host's engine stays open."""

    async def use() -> None:
        with pytest.raises(StoreError, match="async with AsyncArchive"):
            await AsyncArchive(archive_url).get("last")
        with pytest.raises(DatabaseUnavailable, match="record something first"):
            async with AsyncArchive(f"sqlite:///{tmp_path / 'none.db'}", create=False):
                pass
        engine = create_engine(archive_url)
        async with AsyncArchive(engine) as archive:
            assert await archive.sources() == []
        with Archive(engine) as still_open:
            assert still_open.sources() == []
        engine.dispose()

    asyncio.run(use())


def test_nothing_is_missing() -> None:
    """What Archive offers is there to be awaited, with the same words."""
    offered = {
        name for name in {**vars(Archive), **vars(Database)} if not name.startswith("_")
    } - NOT_FOR_HOSTS
    assert {name for name in vars(AsyncArchive) if not name.startswith("_")} == offered
    for name in offered - {"follow"}:  # which says where it waits
        assert getattr(AsyncArchive, name).__doc__ == getattr(Archive, name).__doc__

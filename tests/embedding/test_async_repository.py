from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.asyncio import create_async_engine as make_engine

from phonobase import RecordingRepository, State
from phonobase.aio import AsyncRecordingRepository, create_async_engine
from phonobase.errors import InvalidAudio, RecordingNotFound
from phonobase.store.engine import WRITES, set_up
from tests.store.judge import Program, flac_pcm, pcm_of, random_pcm

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

PCM = random_pcm(12_000, 2, "int16")
NOT_FOR_HOSTS = {"append", "close", "seal", "discard"}
"""What a writer and a recovery do with a repository, step by step."""


@asynccontextmanager
async def _engine(url: str) -> AsyncGenerator[AsyncEngine]:
    engine = create_async_engine(url)
    try:
        yield engine.execution_options(**{WRITES: True})
    finally:
        await engine.dispose()


def _orders(program: Program) -> list[int]:
    tables = ("phono_source", "phono_recording", "phono_chunk", "phono_audio", "orders")
    return [int(program.value(f"SELECT count(*) FROM {table}")) for table in tables]


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_the_hosts_transaction_decides(archive_url: str, program: Program, outcome: str) -> None:
    """What is stored in an AsyncSession's transaction is kept or forgotten with the host's own rows."""
    program.run_script("CREATE TABLE orders (id INTEGER PRIMARY KEY)")

    async def host() -> None:
        async with _engine(archive_url) as engine, AsyncSession(engine) as session:
            repository = AsyncRecordingRepository(session)
            recording = await repository.add(PCM, 8000, 2, source="desk", tags={"queue": "billing"})
            await session.execute(sa.text("INSERT INTO orders VALUES (1)"))
            dropped = await repository.add(PCM, 8000, 2, source="desk")
            await repository.delete(dropped.id, "not wanted")
            assert await repository.get("last") == recording
            assert await repository.sources() == ["desk"]
            assert session.in_transaction()
            await (session.commit() if outcome == "commit" else session.rollback())

    asyncio.run(host())
    assert _orders(program) == ([1] * 5 if outcome == "commit" else [0] * 5)


def test_a_savepoint_of_the_host(archive_url: str, program: Program) -> None:
    """A clip stored in a savepoint goes with it, and the host's transaction goes on."""
    program.run_script("CREATE TABLE orders (id INTEGER PRIMARY KEY)")

    async def host() -> None:
        async with _engine(archive_url) as engine, AsyncSession(engine) as session, session.begin():
            repository = AsyncRecordingRepository(session)
            await repository.add(PCM, 8000, 2)
            savepoint = await session.begin_nested()
            await repository.add(PCM, 8000, 2)
            await savepoint.rollback()
            with pytest.raises(InvalidAudio):
                await repository.add(b"", 8000)
            await session.execute(sa.text("INSERT INTO orders VALUES (1)"))

    asyncio.run(host())
    assert _orders(program) == [1, 1, 1, 1, 1]


@pytest.fixture(params=["aiosqlite", "psycopg", "asyncpg"])
def hosts_own(request: pytest.FixtureRequest) -> AsyncEngine:
    """An engine as a host makes it, by any driver, with nothing but ``set_up`` called."""
    fixture, backend = (
        ("migrated_sqlite_url", "sqlite")
        if request.param == "aiosqlite"
        else ("migrated_postgres_url", "postgresql")
    )
    parsed = sa.make_url(str(request.getfixturevalue(fixture)))
    engine = make_engine(parsed.set(drivername=f"{backend}+{request.param}"))
    set_up(engine.sync_engine)
    return engine


def test_all_that_a_session_gives_is_what_was_stored(hosts_own: AsyncEngine, tmp_path: Path) -> None:
    """Array, blocks, file, ranges of the file and verification agree with the sound, and with flac."""

    async def host() -> None:
        async with AsyncSession(hosts_own) as session:
            repository = AsyncRecordingRepository(session)
            stored = await repository.add(PCM, 8000, 2, source="desk", tags={"queue": {"name": "billing"}})
            assert await repository.find(tags={"queue": {"name": "billing"}}) == [stored]
            assert pcm_of(await repository.read(stored.id), "int16") == PCM
            assert pcm_of(await repository.read(stored.id, 17, 4711), "int16") == PCM[17 * 4 : 4711 * 4]
            blocks = [block async for block in repository.frames(stored.id, 5)]
            assert pcm_of(np.concatenate(blocks), "int16") == PCM[20:]
            assert sum([len(peaks) async for _, peaks in repository.envelope(stored.id)]) == 24 * 2 * 2
            file = await repository.open(stored.id)
            assert file.size == stored.file_bytes
            whole = await file.read()
            assert (len(whole), file.tell()) == (file.size, file.size)
            for start, stop in ((0, None), (3, 30_000), (30_000, 30_000), (file.size - 5, file.size + 9)):
                assert b"".join([piece async for piece in file.pieces(start, stop)]) == whole[start:stop]
            assert file.seek(-4, 2) == file.size - 4
            assert await file.read(100) == whole[-4:]
            (tmp_path / "whole.flac").write_bytes(whole)
            assert (await repository.verify(stored.id)).ok
            with pytest.raises(RecordingNotFound):
                await repository.get("0123456789")
        await hosts_own.dispose()

    asyncio.run(host())
    assert flac_pcm(tmp_path / "whole.flac") == PCM


def test_a_recording_that_was_left_open_is_closed(archive_url: str) -> None:
    """A host that knows that a recorder is dead closes its recording in a transaction of its own."""

    async def host() -> None:
        async with _engine(archive_url) as engine, AsyncSession(engine) as session, session.begin():
            repository = AsyncRecordingRepository(session)
            stored = await repository.add(PCM, 8000, 2)
            await session.execute(sa.text("UPDATE phono_recording SET state = 'recording'"))
            closed = await repository.close_as_stored(stored.id)
            assert (closed.state, closed.pcm_sha256) == (State.INTERRUPTED, stored.pcm_sha256)

    asyncio.run(host())


def test_a_cancelled_task_stores_nothing(archive_url: str, program: Program) -> None:
    """A task that is cancelled while its sound is encoded leaves its transaction, which is rolled back."""
    minute = random_pcm(48_000 * 60, 1, "int16")

    async def host(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await AsyncRecordingRepository(session).add(minute, 48_000)

    async def cancelled() -> None:
        async with _engine(archive_url) as engine:
            task = asyncio.create_task(host(engine))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with AsyncSession(engine) as session, session.begin():
                await AsyncRecordingRepository(session).add(PCM, 8000, 2, source="next")

    asyncio.run(cancelled())
    assert program.lines("SELECT source FROM phono_clips") == ["next"]


def test_audio_comes_in_binary(migrated_postgres_url: str) -> None:
    """Psycopg fetches audio in binary for an AsyncSession too, and nothing else."""
    formats: list[tuple[bool, int]] = []

    async def host() -> None:
        async with _engine(migrated_postgres_url) as engine:

            @sa.event.listens_for(engine.sync_engine, "after_cursor_execute")
            def note(_c: object, cursor: sa.AdaptedConnection, statement: str, *_: object) -> None:
                if statement.startswith("SELECT"):
                    formats.append(("phono_audio.data" in statement, cursor._cursor.format))  # type: ignore[attr-defined] # SQLAlchemy's

            async with AsyncSession(engine) as session:
                repository = AsyncRecordingRepository(session)
                stored = await repository.add(PCM, 8000, 2)
                await repository.read(stored.id)

    asyncio.run(host())
    assert {(True, 1), (False, 0)} == set(formats)


def test_the_event_loop_goes_on(archive_url: str) -> None:
    """While ten minutes of stereo are stored and read the loop is never held up for long."""
    ten_minutes = random_pcm(16_000 * 600, 2, "int16")
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - due)

    async def host() -> None:
        async with _engine(archive_url) as engine, AsyncSession(engine) as session:
            repository = AsyncRecordingRepository(session)
            ticking = asyncio.create_task(tick())
            stored = await repository.add(ten_minutes, 16_000, 2)
            frames = await repository.read(stored.id)
            ticking.cancel()
            assert pcm_of(frames, "int16") == ten_minutes

    asyncio.run(host())
    late.sort()
    print(
        f"the loop was late by {late[-1] * 1000:.1f} ms at most, {late[len(late) // 2] * 1000:.2f} ms mostly"
    )
    # A machine that does other things too holds up everybody now and then: the middle says what we do.
    assert late[len(late) // 2] < 0.01
    assert len(late) > 100


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the drivers that sessions to await need, the error says how to get them."""
    monkeypatch.setattr("phonobase.aio.engine.find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=r"aiosqlite and greenlet; .*'phonobase\[async\]'"):
        create_async_engine("sqlite:///clips.db")


def test_nothing_is_missing() -> None:
    """What RecordingRepository offers to hosts is there to be awaited, with the same words."""
    offered = {name for name in vars(RecordingRepository) if not name.startswith("_")} - NOT_FOR_HOSTS
    assert {name for name in vars(AsyncRecordingRepository) if not name.startswith("_")} == offered
    for name in offered:
        same = getattr(AsyncRecordingRepository, name), getattr(RecordingRepository, name)
        assert same[0].__doc__ == same[1].__doc__

"""phonobase's tables in a PostgreSQL schema of their own, beside a host's in another."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from phonobase import Archive, RecordingRepository
from phonobase.aio import AsyncRecordingRepository, create_async_engine
from phonobase.store import schema
from phonobase.store.engine import create_engine
from tests.store.judge import Program, pcm_of, random_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

PCM = random_pcm(12_000, 2, "int16")


@pytest.fixture
def program(postgres_url: str) -> Program:
    """The database through psql, whose search_path is the usual one."""
    return Program(postgres_url)


@pytest.fixture
def url(postgres_url: str, program: Program) -> str:
    """An archive's address that puts everything into the schema `sound`."""
    program.run_script("CREATE SCHEMA sound; CREATE TABLE public.orders (id integer PRIMARY KEY, clip uuid);")
    parsed = sa.make_url(postgres_url).update_query_dict({"options": "-csearch_path=sound,public"})
    return parsed.render_as_string(hide_password=False)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on it, the tables made."""
    made = create_engine(url)
    schema.upgrade(made)
    yield made
    made.dispose()


def test_a_second_set_of_tables(postgres_url: str, url: str, program: Program) -> None:
    """Tables that a later schema of the path has are the ones found; a schema named alone gets its own."""
    homes = []
    for address in (postgres_url, url, url.replace("%2Cpublic", "")):
        made = create_engine(address)
        schema.upgrade(made)
        homes.append(schema.home(made))
        made.dispose()
    assert homes == ["public", "public", "sound"]
    where = "SELECT schemaname FROM pg_tables WHERE tablename = 'phono_recording' ORDER BY 1"
    assert program.lines(where) == ["public", "sound"]


def test_everything_lies_there(engine: Engine, url: str, program: Program) -> None:
    """Tables, views, functions and our version are in the schema, all works, and the host's are untouched."""
    where = (
        "SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relname LIKE 'phono%' AND n.nspname !~ '^pg_'"
    )
    assert program.lines(where) == ["sound"]
    assert program.lines(
        where.replace("pg_class c", "pg_proc c")
        .replace("relname", "proname")
        .replace("relnamespace", "pronamespace")
    ) == ["sound"]
    schema.check(engine)
    with Archive(url) as archive:
        stored = archive.add(PCM, 8000, 2, source="desk")
        assert pcm_of(archive.read(stored.id), "int16") == PCM
        assert archive.verify(stored.id).ok
        (part,) = archive.follow("desk", "start", idle_seconds=0)
        assert part.frame_count == 12_000
        period = stored.started_at, stored.ended_at + timedelta(seconds=1)
        assert archive.coverage("desk", *period).lost_us == {"unrecorded": 1_000_000}
    assert program.lines("SELECT source, seconds, length(audio) > 0 FROM sound.phono_clips") == ["desk|1.5|t"]
    assert program.lines("SELECT source FROM sound.phono_coverage") == ["desk"]
    assert program.lines("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == ["orders"]


def test_a_host_stores_in_both(engine: Engine, url: str, program: Program) -> None:
    """A host's transaction holds its row and our recording, by a session or awaited, or neither."""
    for outcome in ("rollback", "commit"):
        with Session(engine) as session:
            stored = RecordingRepository(session).add(PCM, 8000, 2)
            session.execute(sa.text("INSERT INTO orders VALUES (1, :clip)"), {"clip": stored.id})
            getattr(session, outcome)()

    async def awaited() -> None:
        waiting = create_async_engine(url)
        async with AsyncSession(waiting) as session, session.begin():
            stored = await AsyncRecordingRepository(session).add(PCM, 8000, 2)
            await session.execute(sa.text("INSERT INTO orders VALUES (2, :clip)"), {"clip": stored.id})
        await waiting.dispose()

    asyncio.run(awaited())
    joined = "SELECT o.id FROM public.orders o JOIN sound.phono_recording r ON r.id = o.clip ORDER BY o.id"
    assert program.lines(joined) == ["1", "2"]
    assert program.value("SELECT count(*) FROM sound.phono_recording") == "2"


def test_whoever_writes_is_followed(engine: Engine, program: Program) -> None:
    """A commit by somebody who names the schema, and whose search_path does not hold it, is noted as well."""
    with Archive(engine) as archive:
        stored = archive.add(PCM, 8000, 2)
        position = archive.position()
        with psycopg.connect(program.dsn) as other:
            other.execute("UPDATE sound.phono_recording SET state = state WHERE id = %s", [stored.id])
            other.execute("DELETE FROM sound.phono_audio")
            other.execute("DELETE FROM sound.phono_chunk")
            other.execute("DELETE FROM sound.phono_recording")
        assert program.value("SELECT count(*) FROM sound.phono_commit") == "0"
        assert list(archive.follow(after=position, idle_seconds=0)) == []

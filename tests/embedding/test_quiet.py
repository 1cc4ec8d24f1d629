"""What a host notices of phonobase before it uses it, and of what it does not use: nothing."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

from tests.store.judge import Program

if TYPE_CHECKING:
    from pathlib import Path

WATCHED = """
    import sys

    opened = []

    def watch(event, arguments):
        if event in ("sqlite3.connect", "socket.connect", "subprocess.Popen", "os.mkdir", "os.fork"):
            opened.append((event, arguments))
        if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            opened.append((event, arguments))

    sys.addaudithook(watch)
"""
NO_SOUND = """
    import sys

    class NoSound:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("sounddevice", "_sounddevice"):
                raise OSError("PortAudio library not found")

    sys.meta_path.insert(0, NoSound())
"""


def _run(code: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", dedent(code), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_opens_nothing(tmp_path: Path) -> None:
    """`import phonobase` opens no file to write, no database, no network, no device, and runs nothing."""
    code = dedent(WATCHED) + dedent("""
        import threading
        import phonobase, phonobase.aio, phonobase.store.schema
        heavy = {"sounddevice", "alembic", "pyarrow", "pandas", "aiosqlite", "click", "rich"}
        print(opened, sorted(heavy & sys.modules.keys()), threading.active_count())
    """)
    assert _run(code, cwd=tmp_path) == "[] [] 1\n"


def test_using_it_configures_no_logging(archive_url: str, tmp_path: Path) -> None:
    """A host's logging is as it was, after sound was stored and verified and the tables were upgraded."""
    code = """
        import logging, sys
        import alembic.command, asyncio, concurrent.futures, psycopg, sqlalchemy  # what they do is theirs

        def state():
            known = logging.root.manager.loggerDict.values()
            loggers = [logging.root, *(found for found in known if isinstance(found, logging.Logger))]
            return {
                found.name: (found.handlers, found.level, found.propagate, found.disabled)
                for found in loggers
                if found.handlers or found.level or not found.propagate or found.disabled
            }

        before = state()
        from phonobase import Archive
        from phonobase.store import schema
        with Archive(sys.argv[1]) as archive:
            schema.upgrade(archive.engine)
            stored = archive.add(bytes(16_000), 8000)
            assert archive.verify(stored.id).ok
        assert state() == before, (before, state())
    """
    assert _run(code, archive_url, cwd=tmp_path) == ""


def test_a_host_that_reads_needs_no_sound_library(archive_url: str, tmp_path: Path) -> None:
    """Where PortAudio cannot be loaded all works but recording; Alembic is loaded only to make tables."""
    code = dedent(NO_SOUND) + dedent("""
        import asyncio
        from phonobase import Archive
        from phonobase.aio import AsyncArchive

        async def read():
            async with AsyncArchive(sys.argv[1]) as archive:
                return await archive.read("last")

        with Archive(sys.argv[1]) as archive:
            archive.add(bytes(16_000), 8000)
            with archive.open("last") as file:
                assert file.read(4) == b"fLaC"
        print(len(asyncio.run(read())), {"sounddevice", "alembic"} & sys.modules.keys())
    """)
    assert _run(code, archive_url, cwd=tmp_path) == "8000 set()\n"


def test_a_process_that_is_forked(archive_url: str, tmp_path: Path) -> None:
    """A child forked from a program with an open archive, as a server's worker is, may use it as well."""
    code = """
        import os, sys
        from phonobase import Archive

        with Archive(sys.argv[1]) as archive:
            archive.add(bytes(16_000), 8000, source="before")
            children = []
            for number in range(4):
                if not (child := os.fork()):
                    for _ in range(5):
                        archive.add(bytes(16_000), 8000, source=f"child-{number}")
                    os._exit(0)
                children.append(child)
            for _ in range(5):
                archive.add(bytes(16_000), 8000, source="parent")
            print([os.waitpid(child, 0)[1] for child in children])
            print(all(archive.verify(found.id).ok for found in archive.find(limit=None)))
    """
    assert _run(code, archive_url, cwd=tmp_path) == "[0, 0, 0, 0]\nTrue\n"
    counts = "SELECT source, count(*) FROM phono_recording GROUP BY source ORDER BY source"
    assert Program(archive_url).lines(counts) == ["before|1", *(f"child-{n}|5" for n in range(4)), "parent|5"]

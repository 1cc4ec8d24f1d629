"""Many who write to one archive at once, in threads of several processes, until they are told to stop."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import TYPE_CHECKING, Self

from sqlalchemy.orm import Session

from phonobase import Archive, RecordingRepository
from phonobase.store.push import push
from tests.store.both_ends import RATE, add, sound
from tests.store.judge import random_pcm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_THREADS = 3
_QUICK = 0.02


class Storm:
    """Processes that write to an archive for a while.

    Each thread of theirs adds sound of now and of long ago, whole and bit by bit, in short and in long
    transactions, rolls back, takes back, deletes what it made, and pushes from an archive of its own.
    """

    def __init__(self, url: str, folder: Path, seconds: float, processes: int = 2) -> None:
        spawn = get_context("spawn")
        self._processes = [
            spawn.Process(target=_write, args=(url, str(folder), seconds, seed)) for seed in range(processes)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.join(60)
            assert process.exitcode == 0

    @property
    def is_over(self) -> bool:
        """Whether nobody writes any more."""
        return not any(process.is_alive() for process in self._processes)


def _write(url: str, folder: str, seconds: float, seed: int) -> None:
    failed: list[BaseException] = []

    def run(number: int) -> None:
        name = f"{seed}-{number}"
        try:
            with Archive(url) as archive, Archive(f"sqlite:///{folder}/spool-{name}.db") as spool:
                _Writer(archive, spool, name).write(seconds)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run, args=[number]) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(1)


class _Writer:
    def __init__(self, archive: Archive, spool: Archive, name: str) -> None:
        self._archive, self._spool, self._name = archive, spool, name
        self._random = random.Random(name)

    def write(self, seconds: float) -> None:
        ways: list[Callable[[], object]] = [
            self._whole,
            self._bit_by_bit,
            self._in_a_long_transaction,
            self._not_in_the_end,
            self._taken_back,
            self._deleted,
            self._pushed,
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._random.choice(ways)()

    def _whole(self) -> None:
        then = _LONG_AGO + timedelta(seconds=self._random.randrange(10**8))
        self._archive.add(self._pcm(), RATE, source=self._name, started_at=then)

    def _bit_by_bit(self) -> None:
        with self._archive.writer(RATE, 2, chunk_seconds=0.5, source=self._name) as writer:
            for _ in range(3):
                writer.write(sound(1, seed=self._random.randrange(100)))
                time.sleep(_QUICK)

    def _in_a_long_transaction(self) -> None:
        with Session(self._archive.engine) as session:
            for _ in range(2):
                RecordingRepository(session).add(self._pcm(), RATE, source=self._name)
                time.sleep(self._random.random() * 10 * _QUICK)
            savepoint = session.begin_nested()
            RecordingRepository(session).add(self._pcm(), RATE, source=self._name)
            if self._random.random() < 0.5:
                savepoint.rollback()
            session.commit()

    def _not_in_the_end(self) -> None:
        with Session(self._archive.engine) as session:
            RecordingRepository(session).add(self._pcm(), RATE, source=self._name)
            time.sleep(_QUICK)
            session.rollback()

    def _taken_back(self) -> None:
        writer = self._archive.writer(RATE, 2, chunk_seconds=0.5, source=self._name)
        writer.write(sound(2))
        writer.discard()

    def _deleted(self) -> None:
        made = self._archive.add(self._pcm(), RATE, source=self._name)
        self._archive.delete(made.id, "not wanted")

    def _pushed(self) -> None:
        add(self._spool, 2, seed=self._random.randrange(100), source=f"{self._name}-pushed")
        push(self._spool, self._archive, batch_bytes=1)

    def _pcm(self) -> bytes:
        return random_pcm(self._random.randrange(1, RATE), 1, "int16", seed=self._random.randrange(100))

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phonobase import Archive
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.draft import Draft
from phonobase.store.recording import new_recording
from tests.docs.pages import blocks, text
from tests.store.judge import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

PAGE = "docs/sql.md"
RATE = 8000
MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True)
class Question:
    """One of the page's questions: its query on each database, and the answer that is the same."""

    title: str
    queries: dict[str, str]
    answer: list[str]


def _questions() -> Iterator[Question]:
    lines = text(PAGE).splitlines()
    headings = {number: line for number, line in enumerate(lines, 1) if line.startswith("## ")}
    queries: dict[str, dict[str, str]] = {line: {} for line in headings.values()}
    for block in blocks(PAGE, "sql"):
        heading = headings[max(number for number in headings if number < block.line)]
        for database in ("sqlite", "postgresql"):
            if block.marks in ("both", database):
                queries[heading][database] = block.code
    for block in blocks(PAGE, "text"):
        heading = headings[max(number for number in headings if number < block.line)]
        yield Question(heading.removeprefix("## "), queries[heading], block.code.splitlines())


QUESTIONS = list(_questions())


def test_there_are_twenty_questions() -> None:
    """Each has a number, a query on both databases, and one answer."""
    assert [question.title.partition(".")[0] for question in QUESTIONS] == [str(n) for n in range(1, 21)]
    assert all(set(question.queries) == {"sqlite", "postgresql"} for question in QUESTIONS)
    assert all(question.answer for question in QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.title)
def test_the_answer_is_the_one_on_the_page(asked: Program, question: Question) -> None:
    """Asked of an archive whose content is known, the database's own program says what the page says."""
    database = "sqlite" if asked.is_sqlite else "postgresql"
    utc = "" if asked.is_sqlite else "SET TIME ZONE 'UTC';\n"

    found = asked.lines(utc + question.queries[database])

    assert [_as_shown(line) for line in found] == question.answer


def _as_shown(line: str) -> str:
    """Returns a row without what the two programs write differently: the zone, and zeros behind the point."""
    return re.sub(r"(:\d\d)(\.0+|\+00)(?=\||$)", r"\1", re.sub(r"(\|\d+)\.0+(?=\||$)", r"\1", line))


@pytest.fixture(scope="module")
def asked(shared_url: str) -> Program:
    """The archive of which the page speaks."""
    with Archive(shared_url) as archive:
        _take_calls(archive)
        _broadcast(archive)
        _listen_under_water(archive)
    return Program(shared_url)


def _take_calls(archive: Archive) -> None:
    """Two recordings of one run, a pause, a call that gets loud, and a dead microphone the day after."""
    billing = {"queue": "billing", "agent": "7"}
    with archive.writer(
        RATE,
        source="desk-3",
        started_at=MORNING,
        title="First call",
        notes="Asks for a REFUND",
        external_id="order-4711",
        tags=billing,
    ) as first:
        first.write(_level(60, 8192))
    run_id = archive.get(first.id).run_id
    begins = MORNING + 60 * SECOND
    with archive.writer(
        RATE, source="desk-3", started_at=begins, title="Put through", run_id=run_id, run_index=1
    ) as put_through:
        put_through.write(_level(30, 1000))
    begins += 30 * SECOND
    ends = begins + 600 * SECOND
    archive.add_gap("desk-3", begins, ends, "paused", detail="card payment")
    second = archive.add(
        _level(60, 300).tobytes() + _level(30, 32_767).tobytes(),
        RATE,
        source="desk-3",
        started_at=ends,
        title="Second call",
        external_id="order-4711",
        tags=billing | {"agent": "12"},
    )
    archive.add(bytes(60 * RATE), RATE, source="desk-3", started_at=MORNING + DAY + 5 * 3600 * SECOND)
    said = "I never got the invoice"
    archive.annotate(first.id, 0, 20 * RATE, "speech", score=0.9, author="recogniser 2")
    archive.annotate(first.id, 30 * RATE, 20 * RATE, "speech", score=0.8, author="recogniser 2")
    archive.annotate(first.id, 30 * RATE, 20 * RATE, "transcript", said, author="recogniser 2")
    archive.annotate(second.id, 0, 30 * RATE, "speech", score=0.7, author="recogniser 2")
    archive.annotate(second.id, 60 * RATE, 0, "note", "shouts for an invoice", author="clerk")


def _broadcast(archive: Archive) -> None:
    """Two recordings that overlap at midnight."""
    midnight = MORNING + 15 * 3600 * SECOND
    sound, late = _level(60, 4000).tobytes(), _level(20, 4000).tobytes()
    archive.add(sound, RATE, source="studio-a", started_at=midnight - 30 * SECOND, title="Midnight news")
    archive.add(late, RATE, source="studio-a", started_at=midnight, title="Weather")


def _listen_under_water(archive: Archive) -> None:
    """Silence, a recording in which sound was lost, and one that goes on."""
    six = MORNING + 45 * 3600 * SECOND
    archive.add(bytes(60 * RATE), RATE, source="reef-north", started_at=six)
    with archive.writer(RATE, source="reef-north", started_at=six + 600 * SECOND) as writer:
        writer.write(_level(20, 500))
        writer.lose(5 * RATE, "overflow", "the disk was slow")
        writer.write(_level(15, 500))
    with archive.writing() as repository:
        new = new_recording(
            AudioFormat(RATE, 1, SampleFormat.INT16), source="reef-north", started_at=six + DAY
        )
        draft = Draft(new)
        repository.append(draft, [draft.seal(cut) for cut in [*draft.cut(_level(10, 500)), *draft.finish()]])


def _level(seconds: int, value: int) -> npt.NDArray[np.int16]:
    return np.full((seconds * RATE, 1), value, np.int16)

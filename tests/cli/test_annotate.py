"""``phonobase annotate``, ``unannotate`` and ``annotations``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phonobase import Archive
from tests.store.judge import Program as Judge
from tests.store.judge import random_pcm

if TYPE_CHECKING:
    from tests.cli.program import Program

PCM = random_pcm(8000, 1, "int16")


def test_said_listed_and_taken_back(phonobase_on_both: Program) -> None:
    """What is said by the program lies in the database, is listed, and is taken back by its id."""
    with Archive(phonobase_on_both.url) as archive:
        recording = archive.add(PCM * 2, 8000, source="desk")
    said = phonobase_on_both(
        *("annotate", "last", "--from", "0.25", "--to", "1.5", "--kind", "note", "--text", "knock | knock"),
        *("--score", "0.5", "--author", "ann"),
    ).ok()
    row = Judge(phonobase_on_both.url).value(
        "SELECT first_frame, frame_count, kind, text, score, author FROM phono_annotation"
    )
    assert row == "2000|10000|note|knock | knock|0.5|ann"
    whole = phonobase_on_both("annotate", "last", "--kind", "call", "--json").ok().json
    assert (whole["first_frame"], whole["frame_count"], whole["text"]) == (0, 16_000, None)
    assert whole["author"]
    listed = phonobase_on_both("annotations", "--json").ok().json
    assert [one["id"] for one in listed] == [whole["id"], said.text]
    assert listed[1]["recording_id"] == recording.id.hex
    assert "knock | knock" in phonobase_on_both("annotations", "last", "--kind", "note").ok().text
    assert phonobase_on_both("annotations", "--author", "nobody").ok().err == "no annotations\n"
    phonobase_on_both("unannotate", said.text).ok()
    phonobase_on_both("unannotate", said.text).refused(said.text)
    assert phonobase_on_both("annotations", "--source", "desk", "--json").ok().json == [whole]


@pytest.mark.parametrize(
    "arguments",
    [
        ("annotate", "last"),
        ("annotate", "last", "--kind", ""),
        ("annotate", "last", "--kind", "note", "--from", "2"),
        ("annotate", "last", "--kind", "note", "--from", "0.5", "--to", "0.25"),
        ("annotate", "last", "--kind", "note", "--to", "1h"),
        ("annotate", "last", "--kind", "note", "--from", "-1"),
        ("annotate", "last", "--kind", "note", "--score", "nan"),
        ("annotate", "last", "--kind", "note", "--author", "a" * 201),
        ("annotate", "ffff", "--kind", "note"),
        ("annotations", "ffff"),
        ("annotations", "--source", "nobody"),
        ("unannotate", "last"),
        ("unannotate", "'; DROP TABLE phono_annotation; --"),
    ],
)
def test_bad_input(recorded: Program, arguments: tuple[str, ...]) -> None:
    """What cannot be said, or means nothing, is refused in a line, and nothing is stored."""
    line = recorded(*arguments).refused()
    assert ("the recording is 0:00:01.000 long" in line) == bool({"2", "1h"}.intersection(arguments))
    assert Judge(recorded.url).value("SELECT count(*) FROM phono_annotation") == "0"

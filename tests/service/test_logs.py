from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

_PROGRAM = """
import logging, os, sys
from phonobase.service.logs import configure
stream = os.fstat(2)
journal = {"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"} if sys.argv[2] == "journal" else {}
configure(sys.argv[1], journal)
configure(sys.argv[1], journal)
log = logging.getLogger("phonobase.recorder")
log.debug("not this")
log.info("heard %d frames", 3, extra={"source": "caf\\u00e9", "odd": object})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
logging.getLogger("another").warning("of somebody else")
"""


def _logged(log_format: str, to: str = "pipe") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, log_format, to],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "TZ": "UTC"},
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_lines() -> None:
    """Each line is an object with what was said, what was given with it, and the traceback."""
    first, second, other = _logged("json")

    line = json.loads(first)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))).total_seconds()) < 60
    assert line == {
        "level": "info",
        "logger": "phonobase.recorder",
        "message": "heard 3 frames",
        "source": "café",
        "odd": "<class 'object'>",
    }
    assert "ZeroDivisionError" in json.loads(second)["traceback"]
    assert other == "of somebody else"


def test_text_lines() -> None:
    """A line for people has the time, how grave it is, and what was given with it."""
    first, *rest = _logged("text")

    date, _, level, logger, message = first.split(" ", 4)
    assert datetime.fromisoformat(date).year >= 2024
    assert (level, logger) == ("info", "phonobase.recorder:")
    assert message == "heard 3 frames source=café odd=<class 'object'>"
    assert rest[-2:] == ["ZeroDivisionError: division by zero", "of somebody else"]


def test_lines_for_the_journal() -> None:
    """The journal is told how grave each line is, and has a time of its own."""
    first, *rest = _logged("text", "journal")

    assert first == "<6>info phonobase.recorder: heard 3 frames source=café odd=<class 'object'>"
    assert all(line.startswith("<3>") for line in rest[:-1])

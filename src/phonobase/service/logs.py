"""How log lines look: as text for people, or as JSON for programs.

The library only writes to the loggers below ``phonobase``; the program configures them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
"""What every record has; the rest was given as ``extra``."""

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""As sd-daemon(3) numbers them."""


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, what else was said, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A line for people: local time, level, logger, message, and what else was said.

    Args:
        with_time: Whether the time is a part of it; the journal has its own.
    """

    def __init__(self, *, with_time: bool = True) -> None:
        super().__init__()
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        time = f"{moment.isoformat(sep=' ', timespec='milliseconds')} " if self._with_time else ""
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        line = f"{time}{record.levelname.lower()} {record.name}: {record.getMessage()}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JournalFormatter(logging.Formatter):
    """Puts before each line how grave it is, as the journal reads it.

    Args:
        inner: Makes the line.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        mark = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(mark + line for line in self._inner.format(record).splitlines())


def configure(log_format: str, environment: Mapping[str, str] = os.environ) -> None:
    """Let everything that phonobase logs, from information on, go to standard error.

    Args:
        log_format: ``text`` or ``json``.
        environment: Tells whether standard error is the journal.
    """
    journal = _is_journal(environment.get("JOURNAL_STREAM", ""))
    formatter = JsonFormatter() if log_format == JSON else TextFormatter(with_time=not journal)
    handler = logging.StreamHandler()
    handler.setFormatter(JournalFormatter(formatter) if journal else formatter)
    logger = logging.getLogger("phonobase")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _is_journal(stream: str) -> bool:
    """Whether standard error is the stream that systemd names by device and inode."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}

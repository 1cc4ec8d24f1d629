"""What requests name: moments, sources, recordings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from phonobase.store.recording import LONGEST

_EARLIEST, _LATEST = (
    (datetime.min.replace(tzinfo=UTC) + LONGEST),
    (datetime.max.replace(tzinfo=UTC) - LONGEST),
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SPACE_AS_SIGN = re.compile(r" (?=\d{2}:?\d{2}$)")


def _iso(value: Any) -> Any:  # noqa: ANN401 - whatever JSON or a form holds
    """Refuse what is no ISO 8601: a number would be taken for seconds since 1970."""
    if isinstance(value, str):
        if not _DATE.match(value):
            raise ValueError("write a time as ISO 8601 has it, as 2026-03-01T14:03:00+01:00")
        if _SPACE_AS_SIGN.search(value):
            raise ValueError("a plus sign in a URL means a space; write %2B for it")
    elif not isinstance(value, datetime):
        raise ValueError("write a time as text, as 2026-03-01T14:03:00+01:00")  # noqa: TRY004 - pydantic's way
    return value


def _within(moment: datetime) -> datetime:
    """Return a moment in UTC that arithmetic does not lead out of the calendar."""
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError:
        in_utc = datetime.min.replace(tzinfo=UTC)
    if not _EARLIEST <= in_utc <= _LATEST:
        raise ValueError("nobody recorded at that time; check the year")
    return in_utc


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_iso),
    AfterValidator(_within),
    Field(description="ISO 8601 with an offset", examples=["2026-03-01T14:03:00+01:00"]),
]
"""A moment, in UTC once it is here."""

SourceName = Annotated[str, Field(description="the name of a source", examples=["desk-3"])]

From = Annotated[Moment, Query(alias="from", description="the beginning: ISO 8601 with an offset")]
To = Annotated[Moment, Query(alias="to", description="the end, which does not belong to it")]

RecordingId = Annotated[
    UUID,
    Path(
        description="32 hexadecimal digits, with or without dashes",
        examples=["0199f2b1c0de70008000000000000001"],
    ),
]

"""What a request wants of something that bytes of are there: all of it, a part, or only if it changed.

RFC 9110, sections 13 and 14. One range is answered. Several are ignored, as section 14.2 allows: players and
downloaders ask for one at a time, and many small ones are a known way to make a server work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY = "*"
_WHITE = " \t"
_UNIT = "bytes"
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_DIGITS = 18
"""A number of more is behind the end of everything."""


class Headers(Protocol):
    """The header fields of a request."""

    def getlist(self, key: str, /) -> list[str]:
        """Return all values of a field, whatever the case of its name."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of something from every other.

    Attributes:
        tag: A strong entity tag, with its quotes.
        changed_at: When it came to be as it is, to the second; None where it may change within one.
    """

    tag: str
    changed_at: datetime | None

    def headers(self) -> dict[str, str]:
        """Return the header fields that say so."""
        if self.changed_at is None:
            return {"ETag": self.tag}
        return {"ETag": self.tag, "Last-Modified": format_datetime(self.changed_at, usegmt=True)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a request is to be answered.

    Attributes:
        status: 200, 206, 304, 412 or 416.
        first: The first byte of those that go with 200 and 206.
        end: The byte behind the last one.
    """

    status: HTTPStatus
    first: int = 0
    end: int = 0

    @property
    def length(self) -> int:
        """How many bytes go with it."""
        return self.end - self.first


def wanted(method: str, headers: Headers, validators: Validators, size: int) -> Wanted:
    """Return how a request is to be answered, in the order of RFC 9110, section 13.2.2.

    Args:
        method: ``GET`` or ``HEAD``; only a GET has ranges.
        headers: Of the request.
        validators: Of what is there.
        size: How many bytes are there.
    """
    if not _may_go_on(headers, validators):
        return Wanted(HTTPStatus.PRECONDITION_FAILED)
    if _is_known(headers, validators):
        return Wanted(HTTPStatus.NOT_MODIFIED)
    whole = Wanted(HTTPStatus.OK, 0, size)
    if method != "GET" or not _same_as_before(headers, validators):
        return whole
    asked = parse_range(", ".join(headers.getlist("range")))
    if asked is None:
        return whole
    first, end = _clipped(asked, size)
    if first >= end:
        return Wanted(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Wanted(HTTPStatus.PARTIAL_CONTENT, first, end)


def parse_range(text: str) -> tuple[int | None, int | None] | None:
    """Return the first and the last byte of the one range that a field names.

    Without a last byte it goes to the end; without a first one it is so many bytes at the end. None, where
    the field is to be ignored: it names another unit, several ranges or none, or is no range.
    """
    unit, equals, ranges = text.partition("=")
    specs = [spec for spec in (each.strip(_WHITE) for each in ranges.split(",")) if spec]
    if unit.lower() != _UNIT or not equals or len(specs) != 1:
        return None
    match = _SPEC.fullmatch(specs[0])
    if match is None or match.group() == "-":
        return None
    first, last = (_number(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        return None
    return first, last


def _number(digits: str) -> int:
    plain = digits.lstrip("0") or "0"
    return int(plain) if len(plain) <= _DIGITS else 10**_DIGITS


def _clipped(asked: tuple[int | None, int | None], size: int) -> tuple[int, int]:
    """Return the first byte of a range and the one behind its last, no later where there is none."""
    first, last = asked
    if first is None:
        return max(0, size - (last or 0)), size
    return first, size if last is None else min(last + 1, size)


def _may_go_on(headers: Headers, validators: Validators) -> bool:
    """Whether If-Match holds, or, where it is not there, If-Unmodified-Since."""
    if fields := headers.getlist("if-match"):
        return _names(fields, validators.tag, weakly=False)
    since, changed_at = _date(headers.getlist("if-unmodified-since")), validators.changed_at
    return since is None or changed_at is None or changed_at <= since


def _is_known(headers: Headers, validators: Validators) -> bool:
    """Whether If-None-Match, or, where it is not there, If-Modified-Since says that they have it already."""
    if fields := headers.getlist("if-none-match"):
        return _names(fields, validators.tag, weakly=True)
    since, changed_at = _date(headers.getlist("if-modified-since")), validators.changed_at
    return since is not None and changed_at is not None and changed_at <= since


def _same_as_before(headers: Headers, validators: Validators) -> bool:
    """Whether If-Range, if it is there, names what is there; a part of anything else must not be joined."""
    fields = headers.getlist("if-range")
    if not fields:
        return True
    if fields == [validators.tag]:
        return True
    return validators.changed_at is not None and _date(fields) == validators.changed_at


def _names(fields: Sequence[str], tag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags has one, or all that there are."""
    listed = ", ".join(fields)
    if listed.strip(_WHITE) == _ANY:
        return True
    return any(opaque == tag and (weakly or not weak) for weak, opaque in _TAG.findall(listed))


def _date(fields: Sequence[str]) -> datetime | None:
    """Return the moment that a field names; None where it is not there, or is to be ignored."""
    if len(fields) != 1:
        return None
    try:
        moment = parsedate_to_datetime(fields[0])
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

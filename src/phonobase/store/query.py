"""Which recordings are looked for: one question, the same in Python and on the command line."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import UUID

from phonobase.errors import InvalidDetails
from phonobase.store.columns import with_zone
from phonobase.store.cursor import Cursor
from phonobase.store.recording import State, is_number, json_object, refuse_unknown, storable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FOUND_AT_MOST = 100
"""How many recordings are returned where nobody says how many."""

LOUD_DBFS, SILENT_DBFS = -6.0, -60.0
"""From which peak on a recording counts as loud, and up to which as silent."""

_TEXT_CHARACTERS = 200
_TAG_VALUES = 50
_TAG_LEVELS = 6
"""SQLite's parser takes nine levels of subqueries, and some of them are needed elsewhere."""
_LARGEST_INTEGER = 2**63 - 1
_LARGEST_LIMIT = 2**31 - 1


class Level(StrEnum):
    """How loud a recording is as a whole.

    Attributes:
        LOUD: Its peak is at -6 dBFS or above.
        SILENT: Its peak is at -60 dBFS or below, or it is digital silence.
        CLIPPED: A sample is at the end of the scale.
    """

    LOUD = "loud"
    SILENT = "silent"
    CLIPPED = "clipped"


class Conditions(TypedDict, total=False):
    """The fields of Query, as keywords."""

    source: str | None
    sources: Collection[str] | None
    state: State | None
    since: datetime | None
    until: datetime | None
    heard_since: datetime | None
    heard_until: datetime | None
    heard_at: datetime | None
    min_seconds: float | Fraction | None
    max_seconds: float | Fraction | None
    level: Level | None
    min_peak_dbfs: float | None
    max_peak_dbfs: float | None
    tags: Mapping[str, Any] | None
    text: str | None
    external_id: str | None
    run_id: UUID | None
    annotation_kind: str | None
    annotation_text: str | None
    annotation_min_score: float | None
    after: str | None
    limit: int | None


@dataclass(frozen=True, slots=True, repr=False)
class Query:
    """Which recordings are looked for, all conditions together; what is None does not matter.

    Times are kept in UTC. Texts to look for are found anywhere, whatever the case of their letters, in any
    script; nothing in them is a wildcard.

    Attributes:
        source: Of this source.
        sources: Of one of these sources; none is found where there are none.
        state: In this state.
        since: Begun at this time or later.
        until: Begun before this time.
        heard_since: With sound at this time or later.
        heard_until: With sound before this time.
        heard_at: With sound at this moment.
        min_seconds: At least so long.
        max_seconds: At most so long.
        level: Loud, silent or clipped.
        min_peak_dbfs: With a peak at this level or above.
        max_peak_dbfs: With a peak at this level or below; ``-inf`` finds digital silence.
        tags: With these among its tags, as PostgreSQL's ``@>`` has it: objects and lists may hold more,
            at any depth; numbers are compared by value.
        text: With this in its title or its notes.
        external_id: Called so elsewhere.
        run_id: Made in this run.
        annotation_kind: With an annotation of this kind. The three conditions on annotations are met by one
            annotation together.
        annotation_text: With an annotation that says this.
        annotation_min_score: With an annotation of this score or above.
        after: Those behind this place, as ``Recordings.next`` has it: a page that was seen.
        limit: At most so many; all of them, with None.

    Raises:
        InvalidDetails: A condition is none that a recording could meet or miss.
    """

    _: KW_ONLY
    source: str | None = None
    sources: Collection[str] | None = None
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None
    heard_since: datetime | None = None
    heard_until: datetime | None = None
    heard_at: datetime | None = None
    min_seconds: float | Fraction | None = None
    max_seconds: float | Fraction | None = None
    level: Level | None = None
    min_peak_dbfs: float | None = None
    max_peak_dbfs: float | None = None
    # No hash is made of what may be changed.
    tags: Mapping[str, Any] | None = field(default=None, hash=False)
    text: str | None = None
    external_id: str | None = None
    run_id: UUID | None = None
    annotation_kind: str | None = None
    annotation_text: str | None = None
    annotation_min_score: float | None = None
    after: str | None = None
    limit: int | None = FOUND_AT_MOST

    def __post_init__(self) -> None:
        """Bring every condition into its one form, or refuse it."""
        for name in ("since", "until", "heard_since", "heard_until", "heard_at"):
            self._set(name, _in_utc)
        self._set("state", lambda value: _one_of(State, "state", value))
        self._set("level", lambda value: _one_of(Level, "level", value))
        self._set("run_id", _run_id)
        self._set("tags", _tags)
        self._set("sources", _names)
        for name in ("source", "external_id", "annotation_kind"):
            storable(name, getattr(self, name))
        for name in ("text", "annotation_text"):
            _check_text(name, getattr(self, name))
        for name in ("min_seconds", "max_seconds"):
            self._set(name, partial(_number, name))
        for name in ("min_peak_dbfs", "max_peak_dbfs", "annotation_min_score"):
            self._set(name, partial(_double, name))
        self._check_order("since", "until")
        self._check_order("heard_since", "heard_until")
        self._check_order("min_seconds", "max_seconds")
        self._check_order("min_peak_dbfs", "max_peak_dbfs")
        if self.after is not None:
            Cursor.parse(self.after)
        if self.limit is not None:
            _check_limit(self.limit)

    def __repr__(self) -> str:
        asked = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return f"Query({', '.join(f'{name}={value!r}' for name, value, usual in asked if value != usual)})"

    def _set(self, name: str, form: Any) -> None:  # noqa: ANN401 - a function for each field's own type
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, form(value))

    def _check_order(self, least: str, most: str) -> None:
        low, high = getattr(self, least), getattr(self, most)
        if low is not None and high is not None and low > high:
            raise InvalidDetails(
                f"{least} {low} is more than {most} {high}, so nothing can be found; swap them"
            )


def query_of(query: Query | None, conditions: Conditions) -> Query:
    """Return a query with some of its conditions replaced.

    Raises:
        TypeError: A name means nothing here: a slip must not leave out a condition.
        InvalidDetails: A condition is none that a recording could meet or miss.
    """
    refuse_unknown(conditions, Conditions)
    return Query(**conditions) if query is None else replace(query, **conditions)


def _in_utc(moment: datetime) -> datetime:
    if not isinstance(moment, datetime):
        raise InvalidDetails(f"{moment!r} is no time; pass a datetime with a time zone")
    try:
        return with_zone(moment).astimezone(UTC)
    except OverflowError as error:
        raise InvalidDetails(f"{moment} is no time that anybody recorded at; check the year") from error


def _one_of(kind: type[State | Level], what: str, value: str) -> State | Level:
    try:
        return kind(value)
    except ValueError as error:
        names = ", ".join(map(str, kind))
        raise InvalidDetails(f"{value!r} is no {what}; there are: {names}") from error


def _run_id(run_id: UUID | str) -> UUID:
    try:
        return run_id if isinstance(run_id, UUID) else UUID(run_id)
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidDetails(f"{run_id!r} is no run; write the 32 digits of its id") from error


def _names(sources: Collection[str]) -> frozenset[str]:
    if isinstance(sources, str):
        raise InvalidDetails(f"sources are several names; {sources!r} is one, for source")
    for name in sources:
        storable("source", name)
    return frozenset(sources)


def _check_text(what: str, text: str | None) -> None:
    storable(what, text)
    if text is not None and not 1 <= len(text) <= _TEXT_CHARACTERS:
        raise InvalidDetails(
            f"the {what} to look for has {len(text)} characters; write 1 to {_TEXT_CHARACTERS}"
        )


def _number(what: str, value: Any) -> float | Fraction:  # noqa: ANN401 - numpy has numbers of its own
    if not is_number(value) or value != value:  # noqa: PLR0124 - only NaN is not itself
        raise InvalidDetails(f"{what} is not a number, so nothing can be compared with it")
    return value if isinstance(value, int | float | Fraction) else float(value)


def _double(what: str, value: float | Fraction) -> float:
    try:
        return float(_number(what, value))
    except OverflowError as error:
        raise InvalidDetails(f"{what} is beyond all numbers that can be stored; leave it out") from error


def _check_limit(limit: int) -> None:
    if not isinstance(limit, Integral) or isinstance(limit, bool) or not 1 <= limit <= _LARGEST_LIMIT:
        raise InvalidDetails(f"a limit of {limit} is none; ask for 1 at least, or None for all")


def _tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    wanted = json_object("tags", tags)
    if _levels(wanted) > _TAG_LEVELS or _values(wanted) > _TAG_VALUES:
        raise InvalidDetails(
            f"tags to look for are {_TAG_LEVELS} levels deep at most and hold {_TAG_VALUES} values"
        )
    return wanted


def _levels(value: Any) -> int:  # noqa: ANN401 - whatever JSON holds
    return 1 + max(map(_levels, _inside(value)), default=0) if isinstance(value, dict | list) else 0


def _values(value: Any) -> int:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise InvalidDetails(
            f"a tag of {len(str(value))} digits cannot be compared; look for a smaller number"
        )
    return 1 + sum(map(_values, _inside(value)))


def _inside(value: Any) -> list[Any]:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

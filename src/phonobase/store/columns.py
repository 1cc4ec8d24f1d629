"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

from phonobase.errors import InvalidDetails

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

JsonObject = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

BigInt = BigInteger().with_variant(Integer(), "sqlite")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; naive datetimes are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse naive values, store the others in UTC."""
        if value is None:
            return None
        return with_zone(value).astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401, ARG002
        """Give back what SQLite forgot: that it is UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_us(moment: datetime) -> int:
    """Return a moment as microseconds since 1970-01-01 UTC, exactly."""
    return (with_zone(moment) - _EPOCH) // timedelta(microseconds=1)


def from_us(time_us: int) -> datetime:
    """Return microseconds since 1970-01-01 UTC as a moment, exactly."""
    return _EPOCH + timedelta(microseconds=time_us)


def with_zone(moment: datetime) -> datetime:
    """Return a moment that has a time zone.

    Raises:
        InvalidDetails: It has none, so nobody knows when it is.
    """
    if moment.tzinfo is None:
        raise InvalidDetails(f"{moment!r} has no time zone; pass datetime.now(UTC), or .astimezone() of it")
    return moment

"""Moments and ids as a database gives them soonest, where there are very many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from phonobase.store.spans import Times

_SECOND_US = 1_000_000


def instant(column: sa.ColumnElement[datetime], dialect: str) -> sa.ColumnElement[Any]:
    """Return a moment as the database gives it soonest; ``instants_us`` understands it."""
    if dialect == "sqlite":
        return sa.type_coerce(column, sa.Text).label(column.name)
    return sa.cast(sa.extract("epoch", column) * _SECOND_US, sa.BigInteger).label(column.name)


def instants_us(moments: Sequence[Any], dialect: str) -> Times:
    """Return what ``instant`` selected as microseconds since 1970-01-01 UTC."""
    return np.array(moments, "M8[us]" if dialect == "sqlite" else np.int64).astype(np.int64)


def plain(column: sa.ColumnElement[UUID], dialect: str) -> sa.ColumnElement[str]:
    """Return an id as text: to make an object of each takes long."""
    if dialect == "sqlite":
        return sa.type_coerce(column, sa.Text).label(column.name)
    return sa.cast(column, sa.Text).label(column.name)

"""Asynchronous engines that are set up for what phonobase does with them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from phonobase.store.engine import arguments, set_up

if TYPE_CHECKING:
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncEngine


def create_async_engine(url: str | URL) -> AsyncEngine:
    """Return an engine for sessions that are awaited, by psycopg or aiosqlite.

    Args:
        url: As phonobase.store.engine.create_engine takes it: ``sqlite:///clips.db`` or
            ``postgresql://user@host/name``.

    Raises:
        DatabaseUnavailable: As create_engine.
        ImportError: What it needs is not installed.
    """
    if missing := [name for name in ("aiosqlite", "greenlet") if find_spec(name) is None]:
        raise ImportError(
            f"asynchronous sessions need {' and '.join(missing)}; get it with: pip install 'phonobase[async]'"
        )
    from sqlalchemy.ext import asyncio  # noqa: PLC0415 - it needs what was looked for

    address, options = arguments(url)
    if address.get_backend_name() == "sqlite":
        address = address.set(drivername="sqlite+aiosqlite")
    engine = asyncio.create_async_engine(address, **options)
    set_up(engine.sync_engine)
    return engine

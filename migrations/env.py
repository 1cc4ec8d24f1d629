"""Runs the revisions: on a connection that is handed over, as SQL text, or on what PHONOBASE_DB names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from alembic import context

from phonobase.store.engine import WRITES, create_engine
from phonobase.store.models import Base
from phonobase.store.schema import PREFIX, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from sqlalchemy.engine import Connection


def ours_alone(name: str | None, kind: str, _parents: MutableMapping[Any, str | None]) -> bool:
    """Leave a host's tables out of what is compared."""
    return kind != "table" or (name is not None and name.startswith(PREFIX) and name != VERSION_TABLE)


def run(connection: Connection) -> None:
    """Run the revisions in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        include_name=ours_alone,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()
elif (handed_over := context.config.attributes.get("connection")) is not None:
    run(handed_over)
else:
    engine = create_engine(os.environ.get("PHONOBASE_DB", "sqlite:///phonobase.db"))
    with engine.connect().execution_options(**{WRITES: True}) as own, own.begin():
        run(own)

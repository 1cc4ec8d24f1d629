"""Runs the revisions: on a connection that is handed over, as SQL text, or on what PHONOBASE_DB names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from alembic import context

from phonobase.store.engine import WRITES, create_engine
from phonobase.store.models import Base
from phonobase.store.rebuilding import foreign_keys_unchecked, rebuilding
from phonobase.store.schema import PREFIX, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from sqlalchemy.engine import Connection
    from sqlalchemy.schema import SchemaItem


def ours_alone(name: str | None, kind: str, _parents: MutableMapping[Any, str | None]) -> bool:
    """Leave a host's tables out of what is compared."""
    return kind != "table" or (name is not None and name.startswith(PREFIX) and name != VERSION_TABLE)


def of_this_dialect(
    item: SchemaItem, _name: str | None, kind: str, _reflected: object, _other: object
) -> bool:
    """Leave out what a model has on another database alone."""
    dialect = context.get_context().dialect.name
    return kind != "index" or item.info.get("dialect", dialect) == dialect


def run(connection: Connection) -> None:
    """Run the revisions in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        include_name=ours_alone,
        include_object=of_this_dialect,
        compare_type=True,
        compare_server_default=True,
    )
    with rebuilding(connection), context.begin_transaction():
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
    with (
        engine.connect().execution_options(**{WRITES: True}) as own,
        foreign_keys_unchecked(own),
        own.begin(),
    ):
        run(own)

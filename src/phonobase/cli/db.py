"""``phonobase db``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import note
from phonobase.store import roles, schema
from phonobase.store.engine import create_engine, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine


@click.group("db")
def command() -> None:
    """Make, check and show the archive's tables."""


@command.command("upgrade")
@pass_settings
def upgrade(settings: Settings) -> None:
    """Make the tables, or bring them up to date; any number may do so at once."""
    with _engine(settings) as engine:
        before = schema.current(engine)
        schema.upgrade(engine)
        change = "was up to date" if before == schema.head() else f"{before or 'nothing'} -> {schema.head()}"
        note(f"{_named(engine)}: {change}")


@command.command("check")
@pass_settings
def check(settings: Settings) -> None:
    """Exit 1, saying what to do, where the tables are missing, older or newer."""
    with _engine(settings) as engine:
        schema.check(engine)
        note(f"{_named(engine)}: {schema.head()}, up to date")


@command.command("current")
@pass_settings
def current(settings: Settings) -> None:
    """Print the revision the tables are at."""
    with _engine(settings) as engine:
        click.echo(schema.current(engine) or "none")


@command.command("sql")
@click.argument("dialect", type=click.Choice(["sqlite", "postgresql"]))
def sql(dialect: str) -> None:
    """Print the SQL that makes the tables, for people who run it themselves."""
    click.echo(schema.sql(dialect), nl=False)


@command.command("roles")
@click.option("--reader", metavar="NAME", help="A role that reads all recordings and writes nothing.")
@click.option("--recorder", metavar="NAME", help="A role that reads, adds, and changes nothing complete.")
@click.option("--server", metavar="NAME", help="A role for serve: it adds, edits, and knows the tokens.")
@click.option("--schema", "place", metavar="NAME", default="public", help="Where the tables are.")
def print_roles(reader: str | None, recorder: str | None, server: str | None, place: str) -> None:
    """Print the SQL that makes roles on PostgreSQL, for people who run it themselves.

    Without names there are three: phonobase_reader, phonobase_recorder and phonobase_server.
    """
    if reader is None and recorder is None and server is None:
        reader, recorder, server = "phonobase_reader", "phonobase_recorder", "phonobase_server"
    click.echo(roles.sql(place, reader=reader, recorder=recorder, server=server), nl=False)


def _named(engine: Engine) -> str:
    """Return where the tables are: on PostgreSQL it is for the search_path to say, and for people to see."""
    home = schema.home(engine)
    return shown(engine) if home is None else f"{shown(engine)}, schema {home}"


@contextlib.contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    """Give an engine whose connections are closed at the end."""
    engine = create_engine(settings.db)
    try:
        yield engine
    finally:
        engine.dispose()

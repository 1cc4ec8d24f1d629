"""``phonobase db``."""

from __future__ import annotations

import click

from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import note
from phonobase.store import schema
from phonobase.store.engine import create_engine, shown


@click.group("db")
def command() -> None:
    """Make, check and show the archive's tables."""


@command.command("upgrade")
@pass_settings
def upgrade(settings: Settings) -> None:
    """Make the tables, or bring them up to date; any number may do so at once."""
    engine = create_engine(settings.db)
    before = schema.current(engine)
    schema.upgrade(engine)
    engine.dispose()
    change = "was up to date" if before == schema.head() else f"{before or 'nothing'} -> {schema.head()}"
    note(f"{shown(engine)}: {change}")


@command.command("check")
@pass_settings
def check(settings: Settings) -> None:
    """Exit 1, saying what to do, where the tables are missing, older or newer."""
    engine = create_engine(settings.db)
    schema.check(engine)
    engine.dispose()
    note(f"{shown(engine)}: {schema.head()}, up to date")


@command.command("current")
@pass_settings
def current(settings: Settings) -> None:
    """Print the revision the tables are at."""
    engine = create_engine(settings.db)
    click.echo(schema.current(engine) or "none")
    engine.dispose()


@command.command("sql")
@click.argument("dialect", type=click.Choice(["sqlite", "postgresql"]))
def sql(dialect: str) -> None:
    """Print the SQL that makes the tables, for people who run it themselves."""
    click.echo(schema.sql(dialect), nl=False)

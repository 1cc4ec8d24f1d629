"""Options and arguments that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from phonobase.pcm import SampleFormat
from phonobase.recorder import quantities
from phonobase.store.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Callable

    _AnyType = click.ParamType[Any]
    _DatetimeType = click.ParamType[datetime]
    _PairType = click.ParamType[tuple[str, str]]
else:  # before click 8.2 the class takes no parameter
    _AnyType = _DatetimeType = _PairType = click.ParamType

DEFAULT_DB = "sqlite:///phonobase.db"

_FIRST_YEAR, _LAST_YEAR = 1000, 9000


@dataclass
class Settings:
    """What holds for every command of one call.

    Attributes:
        db: The archive's URL.
        debug: Whether errors show where they come from.
    """

    db: str = DEFAULT_DB
    debug: bool = False

    def archive(self, *, create: bool = False) -> Archive:
        """Open the archive."""
        return Archive(self.db, create=create)


pass_settings = click.make_pass_decorator(Settings, ensure=True)


class Quantity(_AnyType):
    """A quantity as people write it.

    Args:
        name: What it is, for the help text.
        parse: Returns it, or raises a ValueError that says how to write it.
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Parse it, or fail the call."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = Quantity("duration", quantities.duration)
"""Seconds as an exact fraction, from ``90``, ``1.5``, ``90s``, ``15m`` or ``1h``; more than none."""

DURATION_OR_NONE = Quantity("duration", partial(quantities.duration, may_be_zero=True))
"""Likewise, and 0 is one."""

ROLLOVER = Quantity("duration", quantities.rollover)
"""How often a new recording begins, in whole seconds."""

SIZE = Quantity("size", quantities.size)
"""Bytes, from ``4096``, ``256M`` or ``2GiB``."""

LEVEL = Quantity("level", quantities.level)
"""Decibels below full scale, from ``-40`` or ``-40dBFS``."""


class Moment(_DatetimeType):
    """A moment in time from ISO 8601, in local time where it names no offset."""

    name = "time"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Parse it, or fail the call."""
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-03-01T14:03 or 2026-03-01T14:03:00Z", param, ctx)
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            self.fail(f"{value!r} is no time that anybody recorded at; check the year", param, ctx)
        return moment if moment.tzinfo is not None else self._local(moment, param, ctx)

    def _local(self, moment: datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return a local time with its offset; fail the call where clocks are set, and it has none or two."""
        first, second = (moment.replace(fold=fold).astimezone() for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            often = "twice" if first.replace(tzinfo=None) == moment else "never"
            either = " or ".join(one.isoformat() for one in (first, second))
            self.fail(f"{moment} comes {often} here, where clocks are set; write {either}", param, ctx)
        return first


class Tag(_PairType):
    """A name and a value, from ``name=value``."""

    name = "name=value"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, str]:
        """Parse it, or fail the call."""
        if isinstance(value, tuple):
            return value
        name, equals, content = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is no tag; write name=value", param, ctx)
        return name, content


def add_shared_options(command: click.Command) -> None:
    """Let a command and all below it take --db and --debug, so that they may stand anywhere in a call."""
    command.params.append(
        click.Option(
            ["--db"],
            metavar="URL",
            envvar="PHONOBASE_DB" if isinstance(command, click.Group) else None,
            expose_value=False,
            callback=_remember,
            help=f"sqlite:///FILE or postgresql://...  [env: PHONOBASE_DB; default: {DEFAULT_DB}]",
        )
    )
    command.params.append(
        click.Option(
            ["--debug"],
            is_flag=True,
            default=None,
            expose_value=False,
            callback=_remember,
            help="Show where an error comes from.",
        )
    )
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        add_shared_options(child)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None:
        setattr(context.ensure_object(Settings), str(option.name), value)


source_option = click.option(
    "--source", default="default", show_default=True, help="Where the sound comes from."
)
title_option = click.option("--title", help="What to call it.")
notes_option = click.option("--notes", help="More to say of it.")
external_id_option = click.option("--external-id", help="What it is called elsewhere: an order, a call.")
tag_option = click.option(
    "--tag", "tags", type=Tag(), multiple=True, help="A name and a value to keep with it; may be given again."
)
encoding_option = click.option(
    "--encoding",
    type=click.Choice(["flac", "pcm"]),
    help="How to store it.  [default: flac where it can hold the format, else pcm]",
)
dtype_option = click.option(
    "--dtype", type=click.Choice([str(name) for name in SampleFormat]), help="The sample format."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
id_argument = click.argument("recording_id", metavar="ID")

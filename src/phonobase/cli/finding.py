"""The options that say which recordings are meant, for every command that looks for them."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import click

from phonobase.cli.options import DURATION_OR_NONE, Moment, Tag
from phonobase.cli.output import local_time
from phonobase.cli.period import known
from phonobase.store.query import Level, Query
from phonobase.store.recording import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from phonobase.store.archive import Archive

_OPTIONS = (
    click.option("--source", help="Only of this source."),
    click.option("--state", type=click.Choice([str(state) for state in State]), help="Only in this state."),
    click.option("--since", type=Moment(), help="Only those that began at this time or later."),
    click.option("--until", type=Moment(), help="Only those that began before this time."),
    click.option("--from", "heard_since", type=Moment(), help="Only those with sound at this time or later."),
    click.option("--to", "heard_until", type=Moment(), help="Only those with sound before this time."),
    click.option("--at", "heard_at", type=Moment(), help="Only those with sound at this moment."),
    click.option("--min-duration", "min_seconds", type=DURATION_OR_NONE, help="Only those at least so long."),
    click.option("--max-duration", "max_seconds", type=DURATION_OR_NONE, help="Only those at most so long."),
    click.option(
        "--level",
        type=click.Choice([str(level) for level in Level]),
        help="Only those whose peak is at -6 dBFS or above, at -60 dBFS or below, or at full scale.",
    ),
    click.option(
        "--min-peak",
        "min_peak_dbfs",
        type=float,
        metavar="DBFS",
        help="Only those whose peak is at least so high.",
    ),
    click.option(
        "--max-peak",
        "max_peak_dbfs",
        type=float,
        metavar="DBFS",
        help="Only those whose peak is at most so high.",
    ),
    click.option(
        "--tag",
        "named",
        type=Tag(),
        multiple=True,
        help="Only those with this tag, as text; may be given again. Numbers are found by --tags.",
    ),
    click.option("--tags", metavar="JSON", help="Only those whose tags hold this object, at any depth."),
    click.option("--text", help="Only those with this in their title or notes."),
    click.option("--external-id", help="Only those called so elsewhere."),
    click.option("--run", "run_id", metavar="ID", help="Only those made in this run."),
    click.option(
        "--annotation", "annotation_kind", metavar="KIND", help="Only those with an annotation of this kind."
    ),
    click.option("--annotation-text", metavar="TEXT", help="Only those with an annotation that says this."),
    click.option(
        "--min-score",
        "annotation_min_score",
        type=float,
        help="Only those with an annotation of such a score or above.",
    ),
    click.option("--after", metavar="PLACE", help="Go on where another list ended, which has said how."),
)

_ORDERS: tuple[tuple[str, str, str, str, Callable[[Any], str]], ...] = (
    ("since", "until", "--since", "--until", local_time),
    ("heard_since", "heard_until", "--from", "--to", local_time),
    (
        "min_seconds",
        "max_seconds",
        "--min-duration",
        "--max-duration",
        lambda seconds: f"{float(seconds):g} s",
    ),
    ("min_peak_dbfs", "max_peak_dbfs", "--min-peak", "--max-peak", lambda level: f"{level:g} dBFS"),
)
"""Conditions of which the first is no more than the second, their options, and how people read them."""


def find_options(limit: int | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that narrow down, which reach it as ``query``.

    Args:
        limit: How many it takes at most, where ``--limit`` does not say; all, with None.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_query(
            *args: Any, named: tuple[tuple[str, str], ...], tags: str | None, **given: Any
        ) -> None:
            conditions = {name: given.pop(name) for name in Query.__dataclass_fields__ if name in given}
            _refuse_wrong_order(conditions)
            query = Query(tags=_tags(named, tags), **conditions)
            command(*args, query=query, **given)

        number = click.option(
            "--limit",
            type=click.IntRange(1, 1_000_000),
            default=limit,
            show_default=limit is not None,
            help="At most so many.",
        )
        for option in (number, *reversed(_OPTIONS)):
            with_query = option(with_query)
        return with_query

    return decorate


def refuse_unheard_of(archive: Archive, query: Query) -> None:
    """Raise RecordingNotFound where a source is asked for that there is not: most likely a slip."""
    known(archive, query.source)


def _refuse_wrong_order(conditions: Mapping[str, Any]) -> None:
    for least, most, low_option, high_option, shown in _ORDERS:
        low, high = conditions.get(least), conditions.get(most)
        if low is not None and high is not None and low > high:
            raise click.UsageError(
                f"{low_option} {shown(low)} is more than {high_option} {shown(high)}, "
                "so nothing can be found; swap them"
            )


def _tags(named: tuple[tuple[str, str], ...], text: str | None) -> Mapping[str, Any] | None:
    """Return what ``--tags`` and ``--tag`` ask for together."""
    wanted: Any = {}
    if text is not None:
        try:
            wanted = json.loads(text)
        except (ValueError, RecursionError):
            wanted = None
        if not isinstance(wanted, dict):
            raise click.BadParameter(
                f'{text!r} is no JSON object; write \'{{"queue": "billing"}}\'', param_hint="'--tags'"
            )
    for name, value in named:
        if wanted.get(name, value) != value:
            raise click.BadParameter(
                f"the tag {name!r} cannot be both {wanted[name]!r} and {value!r}", param_hint="'--tag'"
            )
        wanted[name] = value
    return wanted or None

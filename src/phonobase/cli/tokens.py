"""``phonobase tokens``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import click

from phonobase.cli.options import DURATION, Settings, json_option, pass_settings
from phonobase.cli.output import local_time, note, print_json, print_table, printable
from phonobase.errors import TokenNotFound
from phonobase.store.archive import Archive
from phonobase.store.tokens import Scope, Token, all_tokens, create_token, revoke_token

_FEWEST_DIGITS = 4


@click.group("tokens")
def command() -> None:
    """Make, list and revoke tokens: what somebody shows who asks over HTTP."""


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    required=True,
    help="What it is for: to look and listen; to add and edit, too; to see what the service does, too.",
)
@click.option(
    "--source", "sources", multiple=True, help="Only for this source; may be given again.  [default: all]"
)
@click.option("--expires", "lasts", type=DURATION, help="How long it is good: 90d.  [default: until revoked]")
@pass_settings
def create(
    settings: Settings, name: str, scope: str, sources: tuple[str, ...], lasts: Fraction | None
) -> None:
    """Make a token for a person or a program called NAME, and print it: this once, and never again."""
    expires_at = None if lasts is None else datetime.now(UTC) + timedelta(seconds=float(lasts))
    with settings.archive() as archive:
        token, word = create_token(archive, name, Scope(scope), sources or None, expires_at)
        unheard = sorted(set(sources) - set(archive.sources()))
    click.echo(word)
    if unheard:
        note(f"nothing was recorded yet from: {', '.join(map(repr, unheard))}")
    note(f"keep it: only its hash is stored. Take it back with: phonobase tokens revoke {token.id.hex}")


@command.command("list")
@json_option
@pass_settings
def print_list(settings: Settings, *, as_json: bool) -> None:
    """List all tokens, those that are over among them, the oldest first."""
    with settings.archive() as archive:
        tokens = all_tokens(archive)
    if as_json:
        print_json([_plain(token) for token in tokens])
    elif not tokens:
        note("no tokens")
    else:
        now = datetime.now(UTC)
        print_table(
            ["id", "name", "scope", "sources", "made", "expires", "state"],
            [
                [
                    token.id.hex,
                    printable(token.name),
                    token.scope,
                    "all" if token.sources is None else ", ".join(map(printable, sorted(token.sources))),
                    local_time(token.created_at),
                    local_time(token.expires_at) if token.expires_at else "never",
                    token.flaw(now) or "good",
                ]
                for token in tokens
            ],
        )


@command.command("revoke")
@click.argument("digits", metavar="ID")
@pass_settings
def revoke(settings: Settings, digits: str) -> None:
    """Take a token back: whoever uses it is cut off within seconds, and so are browsers that showed it."""
    with settings.archive() as archive:
        token = revoke_token(archive, _meant(archive, digits))
    note(f"{token.name}: revoked")


def _meant(archive: Archive, digits: str) -> UUID:
    """Return the id of the one token that an id, or the end of one, stands for."""
    end = digits.replace("-", "").lower()
    found = [token.id for token in all_tokens(archive) if token.id.hex.endswith(end)]
    if len(end) < _FEWEST_DIGITS or len(found) != 1:
        many = "more than one token" if len(found) > 1 else "no token"
        raise TokenNotFound(
            f"{many} answers to {digits!r}; write the last {_FEWEST_DIGITS} or more digits of its id, as in: "
            "phonobase tokens list"
        )
    return found[0]


def _plain(token: Token) -> dict[str, Any]:
    return {
        "id": token.id.hex,
        "name": token.name,
        "scope": token.scope,
        "sources": None if token.sources is None else sorted(token.sources),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }

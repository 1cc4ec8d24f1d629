from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from phonobase import Archive
from phonobase.store.tokens import token_shown
from tests.store.judge import Program as Judge

if TYPE_CHECKING:
    from tests.cli.program import Program


def test_a_token_is_printed_once(phonobase_on_both: Program) -> None:
    """It is the only line of the result, good, and never shown again."""
    made = phonobase_on_both("tokens", "create", "Anna", "--scope", "read").ok()
    assert re.fullmatch(r"phono_[0-9a-f]{32}_[A-Za-z0-9_-]{43}", made.text)
    with Archive(phonobase_on_both.url) as archive:
        token = token_shown(archive, made.text)
    assert token is not None
    assert token.name == "Anna"
    secret = made.text[-43:]
    listed = (
        phonobase_on_both("tokens", "list").ok().text,
        phonobase_on_both("tokens", "list", "--json").ok().text,
    )
    assert not any(secret in one for one in listed)


def test_tokens_are_listed_with_what_they_are_for(phonobase_on_both: Program) -> None:
    """The oldest first, with scope, sources and end, for people and for programs."""
    phonobase = phonobase_on_both
    assert phonobase("tokens", "list").ok().err == "no tokens\n"
    phonobase("tokens", "create", "Anna", "--scope", "admin").ok()
    some = ("--source", "reef", "--source", "desk", "--expires", "90d")
    phonobase("tokens", "create", "back office", "--scope", "write", *some).ok()
    first, second = phonobase("tokens", "list", "--json").ok().json
    assert (first["name"], first["scope"], first["sources"], first["expires_at"]) == (
        "Anna",
        "admin",
        None,
        None,
    )
    assert (second["name"], second["scope"], second["sources"]) == ("back office", "write", ["desk", "reef"])
    made, ends = (datetime.fromisoformat(second[name]) for name in ("created_at", "expires_at"))
    assert abs(ends - made - timedelta(days=90)) < timedelta(seconds=60)
    lines = phonobase("tokens", "list").ok().text.splitlines()
    assert [line.split()[-1] for line in lines] == ["state", "good", "good"]
    assert Judge(phonobase.url).value("SELECT count(*) FROM phono_token WHERE scope = 'write'") == "1"


def test_a_token_is_taken_back(phonobase_on_both: Program) -> None:
    """From then on it is no good; taking it back again changes nothing, and another id is refused."""
    phonobase = phonobase_on_both
    word = phonobase("tokens", "create", "Anna", "--scope", "read").ok().text
    token_id = word.split("_")[1]
    assert phonobase("tokens", "revoke", token_id).ok().err == "Anna: revoked\n"
    (revoked,) = phonobase("tokens", "list", "--json").ok().json
    phonobase("tokens", "revoke", token_id).ok()
    assert phonobase("tokens", "list", "--json").ok().json == [revoked]
    assert revoked["revoked_at"] is not None
    phonobase("tokens", "revoke", "f" * 32).refused("no token answers to", "phonobase tokens list")
    phonobase("tokens", "revoke", "Anna").refused("no token answers to")
    phonobase("tokens", "revoke", token_id[-3:]).refused("the last 4 or more digits")
    assert phonobase("tokens", "revoke", token_id[-8:].upper()).ok().err == "Anna: revoked\n"


def test_a_source_nobody_heard_of_is_said(phonobase: Program) -> None:
    """A token for a source that is not there yet is made, and a slip of the pen is seen."""
    with Archive(phonobase.url) as archive:
        archive.add(b"\0\1" * 800, 8000, source="desk")
    limited = ("tokens", "create", "Anna", "--scope", "read", "--source", "desk", "--source")
    assert "nothing was recorded yet from: 'dsek'\n" in phonobase(*limited, "dsek").ok().err
    assert "nothing was recorded" not in phonobase(*limited, "desk").ok().err


def test_a_token_that_is_none_is_refused(phonobase_on_both: Program) -> None:
    """A name that is none, a source that cannot be, and an unknown scope."""
    phonobase = phonobase_on_both
    for name in ("", " ", "a\nb", "x" * 201):
        phonobase("tokens", "create", name, "--scope", "read").refused("cannot name a token")
    phonobase("tokens", "create", "A", "--scope", "read", "--source", "a\nb").refused("cannot name a source")
    phonobase("tokens", "create", "A", "--scope", "root").refused("root")
    phonobase("tokens", "create", "A").refused("--scope")
    assert phonobase("tokens", "list", "--json").ok().json == []

"""What devices and people say, as every database takes it."""

from __future__ import annotations


def storable_words(words: str) -> str:
    """Return words without what no database takes, as NUL or half a character: they must not cost sound."""
    return "".join(character if character.isprintable() else " " for character in words)

"""A table of a TOML file, read key by key: whatever is wrong is said with the file, the table and the key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phonobase.errors import InvalidService
from phonobase.recorder import quantities

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    Value = TypeVar("Value")


_LARGEST = 2**31 - 1
_LARGEST_QUANTITY = 2**63 - 1


class Table:
    """A table of a file.

    Args:
        path: The file.
        name: The table's, as the file has it; empty at the top.
        values: What stands in it.
    """

    def __init__(self, path: Path, name: str, values: Mapping[str, Any]) -> None:
        self.path = path
        self.name = name
        self.values = values

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def invalid(self, key: str | None, message: str) -> InvalidService:
        """Return the error that says what is wrong, where."""
        places = [str(self.path), *([self.name] if self.name else []), *([key] if key else [])]
        return InvalidService(" ".join(f"{': '.join(places)}: {message}".split()))

    def refuse_unknown(self, known: Sequence[str], elsewhere: Mapping[str, str] | None = None) -> None:
        """Refuse a key that means nothing here.

        Args:
            known: Those that mean something.
            elsewhere: Where other keys belong.

        Raises:
            InvalidService: There is one.
        """
        for key in self.values:
            if key in known:
                continue
            if elsewhere and key in elsewhere:
                raise self.invalid(key, f"this belongs in {elsewhere[key]}")
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise self.invalid(key, f"there is no such key here; {hint}")

    def text(self, key: str) -> str | None:
        """Return a text, or None where there is no such key."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.invalid(key, f"{_shown(value)} is no text; put a text, in quotes")
        if "\0" in value:
            raise self.invalid(key, "this holds a NUL, which no text may hold; leave it out")
        if not value.strip():
            raise self.invalid(key, "this is empty; leave it out, or say something")
        return value

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        """Return one of some words, or None where there is no such key."""
        value = self.text(key)
        if value is not None and value not in choices:
            raise self.invalid(key, f"{value!r} is not one of {', '.join(choices)}")
        return value

    def whole(self, key: str, least: int = 1) -> int | None:
        """Return a whole number of some least value, or None where there is no such key."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.invalid(key, f"{_shown(value)} is no whole number of at least {least}")
        if value > _LARGEST:
            raise self.invalid(key, f"this is more than {_LARGEST}; write less")
        return value

    def flag(self, key: str) -> bool | None:
        """Return true or false, or None where there is no such key."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.invalid(key, f"{_shown(value)} is neither true nor false")
        return value

    def duration(
        self, key: str, default: float, *, may_be_zero: bool = False, at_most: float = float("inf")
    ) -> float:
        """Return seconds from a number of them, or from a text as the command line takes it."""

        def parse(text: str) -> float:
            seconds = float(quantities.duration(text, may_be_zero=may_be_zero))
            if seconds > at_most:
                raise ValueError(f"{text!r} is more than {at_most:g} s; write less")
            return seconds

        return self._quantity(key, parse, default)

    def rollover(self, key: str, default: int) -> int:
        """Return how often new recordings begin, in seconds, likewise."""
        return self._quantity(key, quantities.rollover, default)

    def size(self, key: str, default: int) -> int:
        """Return bytes, likewise."""
        return self._quantity(key, quantities.size, default)

    def level(self, key: str, default: float) -> float:
        """Return dBFS, likewise."""
        return self._quantity(key, quantities.level, default)

    def _quantity(self, key: str, parse: Callable[[str], Value], default: Value) -> Value:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.invalid(key, f"{_shown(value)} is neither a number nor a text")
        if isinstance(value, int) and abs(value) > _LARGEST_QUANTITY:
            raise self.invalid(key, "this is too large a number; write less")
        try:
            return parse(str(value))
        except ValueError as error:
            raise self.invalid(key, str(error)) from None


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever TOML has
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return "a very large number" if isinstance(value, int) and abs(value) > _LARGEST else repr(value)

"""What a file says, as the dataclass that it was written from; nothing, where that cannot have been."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Said = TypeVar("Said", bound=DataclassInstance)

_LATEST_US = 221_845_392_000_000_000
"""The year 9000: no clock shows it, and every calendar still has it, in every time zone."""
_LARGEST = {"pid": 2**31 - 1, "sample_rate": 2**31 - 1}
_LARGEST_NUMBER = 2**63 - 1
_NAMES = ("source",)


def plausible(kind: type[Said], text: str | bytes) -> Said | None:
    """Return what JSON says; None where it says something else, or what cannot be.

    A later version may say more; what this one does not know is left out. Characters that no file and no
    terminal takes are replaced.
    """
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    known = {}
    for field in dataclasses.fields(kind):
        if field.name in said:
            known[field.name] = said[field.name]
            if not _can_be(field.name, str(field.type), said[field.name]):
                return None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return None
    return kind(**{name: _printable(value) for name, value in known.items()})


def _can_be(name: str, kind: str, value: object) -> bool:
    if value is None:
        return kind.endswith("| None")
    kind = kind.removesuffix(" | None")
    if kind == "int":
        largest = _LATEST_US if name.endswith("_us") else _LARGEST.get(name, _LARGEST_NUMBER)
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest
    if kind == "float":
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return abs(value) <= _LARGEST_NUMBER and math.isfinite(value)
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(line, str) for line in value)
    return isinstance(value, str) and (name not in _NAMES or _printable(value) == value)


def _printable(value: object) -> object:
    if isinstance(value, list):
        return [_printable(line) for line in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value

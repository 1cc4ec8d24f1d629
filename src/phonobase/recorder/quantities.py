"""Durations, sizes and levels as people write them, on a command line or in a file."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from phonobase.store.recording import MAX_SECONDS

_LONGEST_S = 100 * 366 * 86_400
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")

_BYTES = {
    "": 1,
    "b": 1,
    **{f"{letter}{suffix}": 1024**power for power, letter in enumerate("kmgt", 1) for suffix in ("", "ib")},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)")
_LARGEST_BYTES = 2**63 - 1

_LEVEL = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:db(?:fs)?)?")
_LOWEST_DBFS = -200


def duration(text: str, *, may_be_zero: bool = False) -> Fraction:
    """Return the seconds that ``90``, ``1.5``, ``90s``, ``15m``, ``1h30m`` or ``2d`` say, exactly.

    Raises:
        ValueError: It says none, or none that anybody means.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write seconds, or 90s, 15m, 1h")
    parts = _DURATION_PART.findall(match[0])
    seconds = sum((Fraction(number) * _SECONDS[unit] for number, unit in parts), Fraction(0))
    if not seconds and not may_be_zero:
        raise ValueError(f"{text!r} is no time at all; write more than 0")
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is more than a hundred years; write less")
    return seconds


def rollover(text: str) -> int:
    """Return how often a new recording begins, in seconds.

    Raises:
        ValueError: It is no duration, or not one of whole seconds up to a day.
    """
    seconds = duration(text)
    if seconds.denominator != 1 or seconds > MAX_SECONDS:
        raise ValueError(f"{text!r} is no time to begin a new recording after; write whole seconds up to 24h")
    return int(seconds)


def size(text: str) -> int:
    """Return the bytes that ``0``, ``4096``, ``256M``, ``1.5GiB`` (1024) or ``2GB`` (1000) say.

    Raises:
        ValueError: It says none.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _BYTES:
        raise ValueError(f"{text!r} is no size; write bytes, or 500M, 2GiB")
    count = int(Fraction(match[1]) * _BYTES[match[2]])
    if count > _LARGEST_BYTES:
        raise ValueError(f"{text!r} is more than any disk holds; write less")
    return count


def level(text: str) -> float:
    """Return the decibels below full scale that ``-40``, ``-40dB`` or ``-40dBFS`` say.

    Raises:
        ValueError: It says none, or none that sound can have.
    """
    match = _LEVEL.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no level; write -40dBFS")
    decibels = float(match[1])
    if not _LOWEST_DBFS <= decibels <= 0:
        raise ValueError(
            f"{text!r} is no level of sound: full scale is 0 dBFS, and all else is below; write -40dBFS"
        )
    return decibels


def in_frames(seconds: Fraction, sample_rate: int) -> int:
    """Return how many frames so many seconds are, at least one."""
    return max(1, math.floor(seconds * sample_rate + Fraction(1, 2)))

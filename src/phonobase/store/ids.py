"""Ids that sort by time (UUID version 7, RFC 9562, section 5.7).

They are made here and not by a database, so that both databases hold the same ids and a recorder knows
them before it is connected.
"""

from __future__ import annotations

import secrets
from uuid import UUID

_VERSION, _VARIANT = 7, 0b10
_RANDOM_BITS = 62


def uuid7(time_us: int) -> UUID:
    """Return a new id that carries a time.

    Args:
        time_us: Microseconds since 1970-01-01 UTC. The milliseconds go where the RFC has them, the rest
            into the twelve bits behind, by its method 3. What is older has no place there and counts as
            1970.
    """
    milliseconds, rest_us = divmod(max(0, time_us), 1000)
    fraction = rest_us * 4096 // 1000
    return UUID(
        int=milliseconds << 80
        | _VERSION << 76
        | fraction << 64
        | _VARIANT << _RANDOM_BITS
        | secrets.randbits(_RANDOM_BITS)
    )

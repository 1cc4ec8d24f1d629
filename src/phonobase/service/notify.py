"""Telling systemd that a service is ready, that it lives, and how it is doing: sd_notify(3), in Python."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """What systemd is told; nothing, where it did not start this process.

    The variables are taken out of the environment: they are not for the processes that this one starts.

    Args:
        environment: Where systemd says how it is to be told.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        name, microseconds, pid = (environment.pop(variable, "") for variable in _VARIABLES)
        # An address that begins with @ is not a file: it is in a name space of Linux's own.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        mine = pid in ("", str(os.getpid()))
        self.watchdog_s: float | None = int(microseconds) / 1e6 if microseconds.isdecimal() and mine else None
        """How long systemd waits for ``WATCHDOG=1`` before it ends this process; None, where it does not."""

    @property
    def is_heard(self) -> bool:
        """Whether systemd started this process, and wants to be told."""
        return bool(self._address)

    def say(self, **facts: object) -> None:
        """Tell systemd something, as ``READY=1``.

        Nobody may be listening any more, and a recorder goes on all the same.
        """
        if not self._address:
            return
        lines = "\n".join(f"{name}={' '.join(str(fact).split())}" for name, fact in facts.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto(lines.encode(), self._address)
        except OSError:
            return

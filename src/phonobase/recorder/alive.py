"""Whether a process still lives that said something of itself."""

from __future__ import annotations

from pathlib import Path

from phonobase.store.recover import recorder_facts

_START_TIME = 22
"""The place of a process's start time in its stat file, counted from 1 (proc(5))."""


def lives(pid: int, process: str | None) -> bool | None:
    """Return whether the process of this number is still the same one.

    Args:
        pid: Its number.
        process: What recorder_facts() had told of it.

    Returns:
        None, where that cannot be known: it is in another container, or the system does not tell.
    """
    # "MACHINE'S START/CONTAINER/PID/START", as recorder_facts() has it; before the last two stands our world.
    world = str(recorder_facts()["process"]).rsplit("/", 2)[0] + "/"
    if process is None or not process.startswith(world):
        return None
    return process == f"{world}{pid}/{_start_time(pid)}"


def _start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None where it is gone."""
    try:
        # Behind the name, which may hold anything, stand the fields from the third on.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[_START_TIME - 3]

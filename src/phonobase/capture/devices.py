"""Which devices this machine can hear with, and which of them is meant by a name."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonobase.errors import CaptureError, DeviceUnavailable, PortAudioMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PROBE = Path(__file__).with_name("_probe.py")


@dataclass(frozen=True, slots=True)
class Device:
    """An input device.

    Attributes:
        index: PortAudio's number for it; it may be another after devices came or went.
        name: What the host API calls it.
        host_api: The part of the operating system that it is reached through.
        channels: The most it can record.
        default_sample_rate: In Hz.
        is_default: Whether it is recorded from when none is named.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_sample_rate: int
    is_default: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.host_api})"


def list_devices(timeout_s: float = 10) -> list[Device]:
    """Return the input devices of this machine, as they are now.

    Raises:
        PortAudioMissing: The library that talks to devices is not installed.
        CaptureError: It crashed, or did not answer in time.
    """
    found = _probe(timeout_s)
    if "missing" in found:
        raise portaudio_missing()
    return [Device(**device, is_default=device["index"] == found["default"]) for device in found["devices"]]


def find_device(devices: Sequence[Device], wanted: str | int | None) -> Device:
    """Return the one device that is meant.

    Args:
        devices: To choose from.
        wanted: An index, a name, a part of a name in any case, or None for the default.

    Raises:
        DeviceUnavailable: There is none, or more than one, that it could mean.
    """
    if not devices:
        raise DeviceUnavailable(
            "no input device: connect one, or record the test tone with --input tone; "
            "`phonobase devices` lists what can be heard"
        )
    if wanted is None:
        return next((device for device in devices if device.is_default), devices[0])
    for means in _ways_to_mean(wanted):
        candidates = [device for device in devices if means(device)]
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise DeviceUnavailable(
                f"{wanted!r} could be any of {_listed(candidates)}; use more of the name, or the number"
            )
    raise DeviceUnavailable(f"no input device {wanted!r}; there are {_listed(devices)}")


def portaudio_missing() -> PortAudioMissing:
    """Return the error that says how to get PortAudio here."""
    remedy = {"darwin": "brew install portaudio", "linux": "apt-get install libportaudio2"}.get(
        sys.platform, "pip install --force-reinstall sounddevice"
    )
    return PortAudioMissing(f"PortAudio is not installed, so no device can be heard; run `{remedy}`")


def _ways_to_mean(wanted: str | int) -> tuple[Callable[[Device], bool], ...]:
    if isinstance(wanted, int):
        return (lambda device: device.index == wanted,)
    folded = wanted.casefold()
    return (
        lambda device: device.name == wanted,
        lambda device: wanted.isdecimal() and device.index == int(wanted),
        lambda device: folded in str(device).casefold(),
    )


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index}: {device}" for device in devices)


def _probe(timeout_s: float) -> dict[str, Any]:
    try:
        probe = subprocess.run(  # noqa: S603 - this interpreter and a file of this package
            [sys.executable, "-P", str(_PROBE)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # ALSA and PortAudio complain there about what is not connected
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CaptureError(
            f"the sound system did not answer within {timeout_s:g} s; restart the sound server"
        ) from None
    if probe.returncode:
        raise CaptureError(
            f"PortAudio crashed while it looked for devices (status {probe.returncode}); "
            "check the sound configuration of this machine, or record with --input tone"
        )
    found: dict[str, Any] = json.loads(probe.stdout)
    return found

"""What PortAudio means when it refuses, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.errors import DeviceUnavailable

if TYPE_CHECKING:
    from phonobase.capture.devices import Device
    from phonobase.pcm import AudioFormat

_DEVICE_UNAVAILABLE = -9985
_FORMAT_NOT_SUPPORTED = -9994
_INVALID_SAMPLE_RATE = -9997
_INVALID_CHANNEL_COUNT = -9998


def refused(error: Exception, device: Device, audio_format: AudioFormat) -> DeviceUnavailable:
    """Return the error that says why a device did not open, given what PortAudio said."""
    code = error.args[1] if len(error.args) > 1 else 0
    if code == _INVALID_SAMPLE_RATE:
        rate = device.default_sample_rate
        return DeviceUnavailable(
            f"{device} does not record at {audio_format.sample_rate} Hz; its own rate is {rate} Hz: "
            f"record at that rate (--samplerate {rate})"
        )
    if code == _INVALID_CHANNEL_COUNT:
        return too_many_channels(device, audio_format)
    if code == _FORMAT_NOT_SUPPORTED:
        return DeviceUnavailable(f"{device} does not record {audio_format.sample_format}; try --dtype int16")
    if code == _DEVICE_UNAVAILABLE:
        return DeviceUnavailable(
            f"{device} is busy or gone; end the program that records from it, or choose another: "
            "`phonobase devices` lists what can be heard"
        )
    return DeviceUnavailable(
        f"{device} does not open: {said(error)}; `phonobase devices` lists what can be heard"
    )


def too_many_channels(device: Device, audio_format: AudioFormat) -> DeviceUnavailable:
    """Return the error that says how many channels a device has."""
    return DeviceUnavailable(
        f"{device} does not record {audio_format.channels} channels; it has {device.channels}: "
        f"record at most that many (--channels {device.channels})"
    )


def said(error: Exception) -> str:
    """Return, in one line, what PortAudio said of an error, and the host API behind it."""
    words = str(error.args[0]).removeprefix("Error opening RawInputStream: ")
    host = error.args[2][2] if len(error.args) > 2 else ""  # noqa: PLR2004 - see sounddevice._check
    return " ".join(f"{words}: {host}".split()) if host else words

"""The input that settings mean, opened."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from phonobase.capture.device import DeviceInput
from phonobase.capture.file import FileInput
from phonobase.capture.pace import paced
from phonobase.capture.pipe import PipeInput
from phonobase.capture.tone import ToneInput
from phonobase.errors import UnsupportedFormat
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.recorder.plugin import PluginInput

if TYPE_CHECKING:
    from phonobase.capture.block import Input
    from phonobase.recorder.settings import InputSettings

DEFAULT_RATE, DEFAULT_CHANNELS, DEFAULT_DTYPE = 44_100, 1, "int16"

_DEVICE, _TONE, _STANDARD_INPUT, _PLUGIN = "device", "tone", "-", "plugin:"


def is_live(settings: InputSettings) -> bool:
    """Whether time passes while it is heard, so that what is not stored at once is lost."""
    if settings.kind == _DEVICE or settings.kind.startswith(_PLUGIN):
        return True
    return settings.kind == _TONE if settings.realtime is None else settings.realtime


def open_input(settings: InputSettings) -> Input:
    """Return an input that is ready to be recorded.

    Raises:
        PhonobaseError: It cannot be opened, or has not the format that is asked for.
    """
    if settings.kind == _DEVICE:
        device = settings.device
        return DeviceInput(_asked(settings), int(device) if device and device.isdecimal() else device)
    if settings.kind.startswith(_PLUGIN):
        return PluginInput(settings.kind.removeprefix(_PLUGIN), _asked(settings))
    opened = _open_without_time(settings)
    return paced(opened) if is_live(settings) else opened


def _open_without_time(settings: InputSettings) -> Input:
    if settings.kind == _TONE:
        return ToneInput(_asked(settings))
    if settings.kind == _STANDARD_INPUT:
        if settings.is_half_described:
            raise UnsupportedFormat("raw PCM needs all three: a sample rate, channels and a sample format")
        return PipeInput(sys.stdin.buffer, None if settings.samplerate is None else _asked(settings))
    file = FileInput(Path(settings.kind), SampleFormat(settings.dtype) if settings.dtype else None)
    for name, wanted, found in (
        ("a sample rate", settings.samplerate, file.format.sample_rate),
        ("channels", settings.channels, file.format.channels),
    ):
        if wanted not in (None, found):
            file.close()
            raise UnsupportedFormat(
                f"{settings.kind} has {found}, not {wanted}, and phonobase does not change that; "
                f"do not ask for {name}"
            )
    return file


def _asked(settings: InputSettings) -> AudioFormat:
    return AudioFormat(
        DEFAULT_RATE if settings.samplerate is None else settings.samplerate,
        DEFAULT_CHANNELS if settings.channels is None else settings.channels,
        SampleFormat(settings.dtype or DEFAULT_DTYPE),
    )

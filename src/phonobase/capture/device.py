"""Sound from a device, read by a thread that does nothing else."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from phonobase.capture import _portaudio
from phonobase.capture._pump import Pump, Stalled
from phonobase.capture._refusal import refused, said, too_many_channels
from phonobase.capture.block import Block
from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.capture.devices import find_device, list_devices
from phonobase.errors import DeviceLost, DeviceUnavailable
from phonobase.pcm import from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonobase.capture.clock import Clock
    from phonobase.pcm import AudioFormat

_OPENING_S = 15
_STALL_S = 6
_STOPPING_S = 1
_HELD_S = 60
_HELD_BYTES = 268_435_456
_IDLE_S = 0.1
_NAP_S = 0.01


class DeviceInput:
    """What a microphone or a line-in hears.

    Constructing it opens the device, so that everything that can be wrong is known before a
    recording is begun; ``blocks()`` starts it. A thread of its own fetches what PortAudio holds and loses
    nothing while other Python threads are busy, which a callback does. Up to a minute of sound, or 256 MiB,
    waits for a slow consumer; what exceeds that is dropped, and the next block says so.

    Args:
        audio_format: What to record.
        device: An index, a name, a part of a name in any case, or None for the default.
        latency_s: The sound that PortAudio holds, in seconds, before it overflows.
        clock: What tells when blocks arrived.

    Raises:
        PortAudioMissing: The library that talks to devices is not installed.
        CaptureError: The sound system does not answer.
        DeviceUnavailable: No such device, or it is busy, or it refuses the format.
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        device: str | int | None = None,
        latency_s: float = 0.5,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._device = find_device(list_devices(), device)
        if audio_format.channels > self._device.channels:
            raise too_many_channels(self._device, audio_format)
        self._format = audio_format
        self._latency_s = latency_s
        self._clock = clock
        self._opened = threading.Event()
        self._wanted = threading.Event()
        self._refusal: Exception | None = None
        self._description: dict[str, str | int | float] = {}
        _portaudio.claim(_OPENING_S)
        with _portaudio.quiet_stderr():
            self._pump: Pump[Block] = Pump(
                self._fetch, capacity=_held_frames(audio_format), name="phonobase-device"
            )
            in_time = self._opened.wait(_OPENING_S)
        if not in_time:
            self._pump.stop()
            raise DeviceUnavailable(
                f"{self._device} did not open within {_OPENING_S} s; restart the sound server"
            )
        if self._refusal is not None:
            raise self._refusal

    @property
    def format(self) -> AudioFormat:
        """The format of all blocks."""
        return self._format

    @property
    def frame_count(self) -> int | None:
        """None: a device goes on for ever."""
        return None

    @property
    def description(self) -> dict[str, str | int | float]:
        """The device, how it is reached, and the versions of what reaches it."""
        return dict(self._description)

    def blocks(self) -> Iterator[Block]:
        """Yield what is heard, from now until stopped.

        Raises:
            DeviceUnavailable: The device does not start.
            DeviceLost: The device stopped giving sound.
        """
        self._wanted.set()
        try:
            yield from self._pump.items(stall_s=_STALL_S, grace_s=_STOPPING_S)
        except Stalled:
            raise DeviceLost(
                f"{self._device} has given no sound for {_STALL_S} s; "
                "reconnect it, or restart the sound server"
            ) from None

    def stop(self) -> None:
        """Make blocks() end soon, with all that was heard before."""
        self._pump.stop()

    def close(self) -> None:
        """Give back the device. One that hangs is left to its thread."""
        self._pump.stop()
        if not self._pump.join(_STOPPING_S):
            _portaudio.abandon()

    def _fetch(self, pump: Pump[Block]) -> None:
        try:
            stream = self._open()
        except Exception as error:  # noqa: BLE001 - whoever constructs the input gets it
            self._refusal = error
            return
        finally:
            _portaudio.give_back()
            self._opened.set()
        try:
            while not self._wanted.wait(_IDLE_S):
                if pump.stopping:
                    return
            self._record(stream, pump)
        finally:
            _portaudio.close_stream(stream)

    def _open(self) -> Any:  # noqa: ANN401 - sounddevice has no types
        sounddevice = _portaudio.load()
        try:
            stream = _portaudio.open_stream(
                self._device,
                samplerate=self._format.sample_rate,
                channels=self._format.channels,
                dtype=str(self._format.sample_format),
                latency=self._latency_s,
            )
        except sounddevice.PortAudioError as error:
            raise refused(error, self._device, self._format) from None
        self._description = {
            "input": "device",
            "device": self._device.name,
            "host_api": self._device.host_api,
            "latency_s": round(stream.latency, 6),
            "portaudio": sounddevice.get_portaudio_version()[1],
            "sounddevice": sounddevice.__version__,
        }
        return stream

    def _record(self, stream: Any, pump: Pump[Block]) -> None:  # noqa: ANN401
        sounddevice = _portaudio.load()
        reader = _Reader(stream, self._format, self._clock)
        try:
            stream.start()
        except sounddevice.PortAudioError as error:
            raise refused(error, self._device, self._format) from None
        dropped, overflowed = 0, False
        try:
            while not pump.stopping:
                block = reader.read()
                if block is None:
                    time.sleep(_NAP_S)
                    continue
                overflowed |= block.overflowed
                if pump.offer(
                    replace(block, dropped_frames=dropped, overflowed=overflowed), len(block.frames)
                ):
                    dropped, overflowed = 0, False
                else:
                    dropped += len(block.frames)
        except sounddevice.PortAudioError as error:
            raise DeviceLost(
                f"{self._device} stopped giving sound: {said(error)}; "
                "reconnect it, or restart the sound server"
            ) from None


def _held_frames(audio_format: AudioFormat) -> int:
    return min(_HELD_S * audio_format.sample_rate, _HELD_BYTES // audio_format.frame_bytes)


class _Reader:
    """Blocks from a running stream: whatever is there, and at least a frame.

    It never waits in PortAudio: nobody could call a thread back from there when the sound server hangs, and
    on the way to PulseAudio it lets two of three fragments lie, which are lost with a device that goes away.
    """

    def __init__(self, stream: Any, audio_format: AudioFormat, clock: Clock) -> None:  # noqa: ANN401
        self._stream = stream
        self._format = audio_format
        self._clock = clock
        self._epoch_us = clock.wall_us() - clock.elapsed_ns() // 1000
        self._latest_us = 0

    def read(self) -> Block | None:
        waiting = min(self._stream.read_available, self._format.sample_rate)
        if not waiting:
            return None
        arrived_ns = self._clock.elapsed_ns()
        data, overflowed = self._stream.read(waiting)
        began_us = self._epoch_us + arrived_ns // 1000 - self._format.microseconds(waiting)
        self._latest_us = max(self._latest_us, began_us)
        return Block(
            frames=from_bytes(bytes(data), self._format),
            captured_at_us=self._latest_us,
            overflowed=overflowed,
            arrived_ns=arrived_ns,
        )

"""The other way: frames to a loudspeaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phonobase.capture import _portaudio
from phonobase.errors import DeviceUnavailable
from phonobase.pcm import to_bytes

if TYPE_CHECKING:
    from phonobase.pcm import AudioFormat, Frames

_OPENING_S = 15
_LATENCY_S = 0.2


class Speaker:
    """Plays frames; ``write`` waits while enough are waiting to be heard.

    Args:
        audio_format: Of the frames.
        device: An output's index, its name or a part of that, or None for the default.

    Raises:
        PortAudioMissing: The library that talks to devices is not installed.
        DeviceUnavailable: There is no such output, or it refuses the format.
    """

    def __init__(self, audio_format: AudioFormat, device: str | int | None = None) -> None:
        self._format = audio_format
        sounddevice = _portaudio.load()
        try:
            with _portaudio.exclusive(_OPENING_S), _portaudio.quiet_stderr():
                self._stream = sounddevice.RawOutputStream(
                    samplerate=audio_format.sample_rate,
                    channels=audio_format.channels,
                    dtype=str(audio_format.sample_format),
                    device=int(device) if isinstance(device, str) and device.isdecimal() else device,
                    latency=_LATENCY_S,
                )
                self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            if not any(found["max_output_channels"] for found in sounddevice.query_devices()):
                raise DeviceUnavailable(
                    "no loudspeaker: connect one, or play elsewhere what phonobase export writes"
                ) from error
            raise DeviceUnavailable(
                f"no loudspeaker plays {audio_format}: {' '.join(str(error).split())}; "
                "write it to a file with phonobase export, and play that"
            ) from error

    def write(self, frames: Frames) -> None:
        """Play frames of shape (frames, channels)."""
        self._stream.write(to_bytes(frames, self._format.sample_format))

    def close(self) -> None:
        """Wait until everything was heard, and give back the device."""
        self._stream.stop()
        with _portaudio.exclusive(_OPENING_S):
            self._stream.close()

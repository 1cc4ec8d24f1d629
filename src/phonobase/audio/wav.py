"""PCM behind a WAV header, or an RF64 header where WAV's 32 bits do not reach.

Sources: Microsoft's "Multiple Channel Audio Data and WAVE Files" for WAVE_FORMAT_EXTENSIBLE; EBU Tech 3306
for RF64, whose ds64 chunk takes the place of a JUNK chunk of the same size, so that a header keeps its
length while a recording grows past 4 GiB.
"""

from __future__ import annotations

import struct

from phonobase.audio.packet import Packet
from phonobase.pcm import AudioFormat, Frames, SampleFormat, to_bytes

FRAMES_PER_PACKET = 4096

_PCM, _IEEE_FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_DS64_BYTES = 28
_UNSIGNED_32_MAX = 0xFFFFFFFF
_PLAIN_CHANNELS = 2


def header(audio_format: AudioFormat, frame_count: int, more: bytes = b"") -> bytes:
    """Return what stands before the PCM of a WAV or RF64 file holding so many frames.

    Args:
        audio_format: Of the frames.
        frame_count: How many there are.
        more: Further chunks that the file is to have, each of an even length.
    """
    data_bytes = frame_count * audio_format.frame_bytes
    chunks = _fmt(audio_format)
    if audio_format.sample_format is SampleFormat.FLOAT32:
        chunks += b"fact" + struct.pack("<II", 4, min(frame_count, _UNSIGNED_32_MAX))
    chunks += more
    # "WAVE", the JUNK or ds64 chunk, the chunks above, and the head of the data chunk.
    riff_bytes = 4 + 8 + _DS64_BYTES + len(chunks) + 8 + data_bytes
    if riff_bytes <= _UNSIGNED_32_MAX:
        start = b"RIFF" + struct.pack("<I", riff_bytes)
        reserve = b"JUNK" + struct.pack("<I", _DS64_BYTES) + bytes(_DS64_BYTES)
        data_size = data_bytes
    else:
        start = b"RF64" + struct.pack("<I", _UNSIGNED_32_MAX)
        sizes = struct.pack("<QQQI", riff_bytes, data_bytes, frame_count, 0)
        reserve = b"ds64" + struct.pack("<I", _DS64_BYTES) + sizes
        data_size = _UNSIGNED_32_MAX
    return start + b"WAVE" + reserve + chunks + b"data" + struct.pack("<I", data_size)


def endless_header(audio_format: AudioFormat) -> bytes:
    """Return what stands before the PCM of a WAV whose length nobody knows yet.

    Its sizes are the largest there are, which programs take for "until the end" of a stream.
    """
    known = header(audio_format, 0)
    unknown = struct.pack("<I", _UNSIGNED_32_MAX)
    return known[:4] + unknown + known[8:-4] + unknown


class PcmEncoder:
    """Frames in, packets of plain PCM out, whatever the sizes of the blocks they came in."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._pending = bytearray()

    def write(self, frames: Frames) -> list[Packet]:
        """Return the packets that the frames complete."""
        self._pending += to_bytes(frames, self._format.sample_format)
        step = FRAMES_PER_PACKET * self._format.frame_bytes
        whole = len(self._pending) // step * step
        packets = [
            Packet(FRAMES_PER_PACKET, bytes(self._pending[start : start + step]))
            for start in range(0, whole, step)
        ]
        del self._pending[:whole]
        return packets

    def finish(self) -> list[Packet]:
        """End the stream and return the packet that was still open."""
        if not self._pending:
            return []
        return [Packet(len(self._pending) // self._format.frame_bytes, bytes(self._pending))]

    @property
    def md5(self) -> bytes:
        """Unknown: a WAV header has no place for it."""
        return bytes(16)


def _fmt(audio_format: AudioFormat) -> bytes:
    is_float = audio_format.sample_format is SampleFormat.FLOAT32
    tag = _IEEE_FLOAT if is_float else _PCM
    # Everything can read the plain form; it is only defined for so much.
    plain = audio_format.sample_format is SampleFormat.INT16 and audio_format.channels <= _PLAIN_CHANNELS
    body = struct.pack(
        "<HHIIHH",
        tag if plain else _EXTENSIBLE,
        audio_format.channels,
        audio_format.sample_rate,
        audio_format.sample_rate * audio_format.frame_bytes,
        audio_format.frame_bytes,
        audio_format.sample_format.bits,
    )
    if not plain:
        speakers_unspecified = 0
        body += struct.pack("<HHIH", 22, audio_format.sample_format.bits, speakers_unspecified, tag)
        body += _SUBTYPE_TAIL
    return b"fmt " + struct.pack("<I", len(body)) + body

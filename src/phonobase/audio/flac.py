"""FLAC, cut at frame boundaries.

libsndfile encodes one continuous stream and hands over one FLAC frame at a time, so that any run of frames
behind a header is a stream of its own. The header is written here (RFC 9639, section 8): STREAMINFO with
the true number of samples at every moment, and a Vorbis comment saying where the sound comes from. The
least and greatest frame sizes are left unknown, which the format allows, so that a header depends on
nothing but the sound.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import soundfile

from phonobase.audio.packet import Packet
from phonobase.errors import CorruptRecording, UnsupportedFormat
from phonobase.pcm import AudioFormat, Frames, SampleFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMES_PER_PACKET = 4096
"""Samples a channel in every FLAC frame but the last."""

MAX_CHANNELS = 8
MAX_SAMPLE_RATE = 655_350
"""In Hz: what a frame header can hold, above 65,535 in steps of ten (RFC 9639, section 9.1.2)."""

UNKNOWN_MD5 = bytes(16)

STREAMINFO_END = 42
"""Bytes of the marker and the STREAMINFO block."""

LEAST_FRAMES = 16
"""Samples a channel in every FLAC frame but the last of a stream, at least (RFC 9639, section 9.1.1)."""

_MARKER = b"fLaC"
_STREAMINFO, _VORBIS_COMMENT, _LAST_BLOCK = 0, 4, 0x80
_LEAST_SIZE_OFFSET, _MD5_OFFSET = 8, 26
_UNSIGNED_16_MAX = 65_535
_SUBTYPES = {SampleFormat.INT16: "PCM_16", SampleFormat.INT24: "PCM_24"}


def check(audio_format: AudioFormat) -> None:
    """Raise UnsupportedFormat, saying what to do, where FLAC cannot hold the format."""
    if audio_format.sample_format not in _SUBTYPES:
        reason = f"{audio_format.sample_format} samples"
    elif audio_format.channels > MAX_CHANNELS:
        reason = f"{audio_format.channels} channels"
    elif not _fits_a_frame_header(audio_format.sample_rate):
        reason = f"a sample rate of {audio_format.sample_rate} Hz"
    else:
        return
    raise UnsupportedFormat(f"FLAC cannot hold {reason}; choose the encoding pcm")


def header(
    audio_format: AudioFormat,
    frame_count: int,
    md5: bytes = UNKNOWN_MD5,
    comments: Mapping[str, str] | None = None,
) -> bytes:
    """Return what stands before the first FLAC frame.

    Args:
        audio_format: The stream's format.
        frame_count: Samples a channel in the stream; 0 stands for unknown.
        md5: MD5 of the PCM; sixteen zero bytes stand for unknown.
        comments: Vorbis comments, upper-case names to values.
    """
    packed = (
        audio_format.sample_rate << 44
        | (audio_format.channels - 1) << 41
        | (audio_format.sample_format.bits - 1) << 36
        | frame_count
    )
    sizes = struct.pack(">HH", FRAMES_PER_PACKET, FRAMES_PER_PACKET) + bytes(6)
    streaminfo = sizes + packed.to_bytes(8, "big") + md5
    entries = [f"{name}={value}".encode() for name, value in (comments or {}).items()]
    vendor = b"phonobase"
    comment = b"".join(
        [
            struct.pack("<I", len(vendor)),
            vendor,
            struct.pack("<I", len(entries)),
            *(struct.pack("<I", len(entry)) + entry for entry in entries),
        ]
    )
    return b"".join(
        [
            _MARKER,
            _block_head(_STREAMINFO, streaminfo),
            streaminfo,
            _block_head(_VORBIS_COMMENT | _LAST_BLOCK, comment),
            comment,
        ]
    )


def endless_header(audio_format: AudioFormat, comments: Mapping[str, str] | None = None) -> bytes:
    """Return what stands before a stream whose length nobody knows yet, and whose frames are of any size."""
    known = header(audio_format, 0, comments=comments)
    return known[:_LEAST_SIZE_OFFSET] + struct.pack(">H", LEAST_FRAMES) + known[_LEAST_SIZE_OFFSET + 2 :]


class FlacEncoder:
    """Frames in, packets of one FLAC frame out.

    Raises:
        UnsupportedFormat: FLAC cannot hold the format.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        check(audio_format)
        self._sink = _Sink()
        self._file = soundfile.SoundFile(
            self._sink,
            "w",
            audio_format.sample_rate,
            audio_format.channels,
            format="FLAC",
            subtype=_SUBTYPES[audio_format.sample_format],
        )
        self._frames_in = 0
        self._frames_out = 0

    def write(self, frames: Frames) -> list[Packet]:
        """Encode frames and return the packets that they complete."""
        self._file.write(frames)
        self._frames_in += len(frames)
        return self._packets()

    def finish(self) -> list[Packet]:
        """End the stream and return the packets that were still open."""
        self._file.close()
        packets = self._packets()
        if self._frames_out != self._frames_in:
            raise CorruptRecording(
                f"the FLAC encoder took {self._frames_in} frames and gave {self._frames_out}; "
                "this libsndfile does not hand over one FLAC frame at a time: install soundfile 0.13 or 0.14"
            )
        return packets

    @property
    def md5(self) -> bytes:
        """MD5 of the whole PCM as the encoder wrote it; unknown before finish()."""
        return bytes(self._sink.header[_MD5_OFFSET : _MD5_OFFSET + 16])

    def _packets(self) -> list[Packet]:
        packets = []
        for data in self._sink.take():
            frame_count = min(FRAMES_PER_PACKET, self._frames_in - self._frames_out)
            packets.append(Packet(frame_count, data))
            self._frames_out += frame_count
        return packets


class _Sink:
    """The file libsndfile writes to: it keeps the header apart and every other write is a FLAC frame."""

    def __init__(self) -> None:
        self.header = bytearray()
        self._header_complete = False
        self._position = 0
        self._end = 0
        self._frames: list[bytes] = []

    def write(self, data: Any) -> int:  # noqa: ANN401 - a cffi buffer
        block = bytes(data)
        if self._position < len(self.header):
            self.header[self._position : self._position + len(block)] = block
        elif self._header_complete:
            self._frames.append(block)
        else:
            self.header += block
            self._header_complete = header_bytes(self.header) is not None
        self._position += len(block)
        self._end = max(self._end, self._position)
        return len(block)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._end)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def take(self) -> list[bytes]:
        frames, self._frames = self._frames, []
        return frames


def _fits_a_frame_header(sample_rate: int) -> bool:
    return sample_rate <= _UNSIGNED_16_MAX or (sample_rate <= MAX_SAMPLE_RATE and sample_rate % 10 == 0)


def _block_head(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big")


def header_bytes(head: bytes | bytearray) -> int | None:
    """Return where the metadata blocks that a stream begins with end; None where some are missing.

    The last one says that it is (RFC 9639, section 8.1).
    """
    position = len(_MARKER)
    while position + 4 <= len(head):
        last = head[position] & _LAST_BLOCK
        position += 4 + int.from_bytes(head[position + 1 : position + 4], "big")
        if last:
            return position if position <= len(head) else None
    return None

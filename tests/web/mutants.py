"""Files as nobody should send them, and whole ones among them: the same in every run."""

from __future__ import annotations

import functools
import io
import random
import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from tests.store.judge import frames_of, random_pcm
from tests.support.prs import noise
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 8_000
DTYPES = ("int16", "int24", "int32", "float32")
_SUBTYPES = {"int16": "PCM_16", "int24": "PCM_24", "int32": "PCM_32", "float32": "FLOAT"}
_BITS = {"int16": 16, "int24": 24, "int32": 32, "float32": 32}
_OGG = {"VORBIS": "libvorbis", "OPUS": "libopus"}
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_STARTS = (
    *(b"", b"RIFF\0\0\0\0WAVE", b"RF64", b"FORM\0\0\0\0AIFF", b"fLaC", b"OggS", b"ID3"),
    b"\xff\xfb\x90\x64",  # MP3
)


@dataclass(frozen=True)
class Upload:
    """A file that is sent.

    Attributes:
        number: Which it is; the same number is the same file.
        kind: What was done to it.
        content: Its bytes.
        dtype: Of its samples, where it is whole.
        pcm: Its sound, where it is whole.
    """

    number: int
    kind: str
    content: bytes
    dtype: str = "int16"
    pcm: bytes | None = None


def upload(number: int) -> Upload:
    """Returns a file by its number."""
    chance = random.Random(f"upload {number}")
    kinds = list(_KINDS)
    kind = kinds[number % len(kinds)]
    return _KINDS[kind](number, kind, chance)


def wav(pcm: bytes, channels: int, dtype: str, rate: int = RATE) -> bytes:
    """Returns PCM behind the shortest header that WAV has."""
    width = _BITS[dtype] // 8
    tag = 3 if dtype == "float32" else 1
    frame_bytes = channels * width
    speed = rate * frame_bytes & 0xFFFFFFFF
    form = struct.pack("<HHIIHH", tag, channels, rate, speed, frame_bytes, 8 * width)
    data = b"data" + struct.pack("<I", len(pcm)) + pcm
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def written(pcm: bytes, channels: int, dtype: str, container: str, subtype: str | None = None) -> bytes:
    """Returns PCM as a file of a kind."""
    file = io.BytesIO()
    frames = frames_of(pcm, channels, dtype)
    soundfile.write(file, frames, RATE, subtype or _SUBTYPES[dtype], format=container)
    content = bytearray(file.getvalue())
    peak = content.find(b"PEAK", 0, 200)
    if peak >= 0:
        content[peak + 12 : peak + 16] = bytes(4)  # the time at which it was written
    return bytes(content)


@functools.cache
def bomb(seconds: int, channels: int = 8) -> bytes:
    """Returns digital silence as FLAC, which is five hundred times smaller than what it decodes to."""
    return written(bytes(2 * channels * seconds * RATE), channels, "int16", "FLAC")


def _pcm(chance: random.Random, channels: int, dtype: str) -> bytes:
    return random_pcm(chance.randint(1, 9_000), channels, dtype, chance.getrandbits(32))


def _whole(number: int, kind: str, chance: random.Random) -> Upload:
    channels = chance.randint(1, 8)
    container = chance.choice(("WAV", "FLAC", "RF64", "AIFF", "WAVEX"))
    dtype = chance.choice(DTYPES[:2] if container == "FLAC" else DTYPES)
    pcm = _pcm(chance, channels, dtype)
    content = wav(pcm, channels, dtype) if container == "WAV" else written(pcm, channels, dtype, container)
    return Upload(number, kind, content, dtype, pcm)


def _base(chance: random.Random) -> bytes:
    """Returns a whole file of any kind that is taken."""
    kind = chance.choice(("WAV", "WAV", "FLAC", "FLAC", "FLAC", "RF64", "AIFF", "VORBIS", "OPUS", "MP3"))
    if kind in _OGG:
        return _ogg(kind)
    if kind == "MP3":
        return written(noise(8_000, 1).tobytes(), 1, "int16", "MP3", "MPEG_LAYER_III")
    dtype = chance.choice(DTYPES[:2] if kind == "FLAC" else DTYPES)
    channels = chance.randint(1, 3)
    pcm = _pcm(chance, channels, dtype)
    return wav(pcm, channels, dtype) if kind == "WAV" else written(pcm, channels, dtype, kind)


@functools.cache
def _ogg(kind: str) -> bytes:
    """Returns noise in an Ogg file; libsndfile would give it another serial number every time."""
    raw = ["-f", "s16le", "-ar", str(RATE), "-i", "-", "-c:a", _OGG[kind]]
    command = [require("ffmpeg"), "-v", "error", *raw, "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    pcm = noise(4_000, 1).tobytes()
    return subprocess.run([*command, "-f", "ogg", "-"], input=pcm, capture_output=True, check=True).stdout


def _flipped(number: int, kind: str, chance: random.Random) -> Upload:
    content = bytearray(_base(chance))
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return Upload(number, kind, bytes(content))


def _flipped_head(number: int, kind: str, chance: random.Random) -> Upload:
    content = bytearray(_base(chance))
    for _ in range(chance.choice((1, 2, 4))):
        content[chance.randrange(min(200, len(content)))] = chance.randrange(256)
    return Upload(number, kind, bytes(content))


def _cut_short(number: int, kind: str, chance: random.Random) -> Upload:
    content = _base(chance)
    return Upload(number, kind, content[: chance.randrange(len(content))])


def _spliced(number: int, kind: str, chance: random.Random) -> Upload:
    first, second = _base(chance), _base(chance)
    end, begin = chance.randrange(len(first)), chance.randrange(len(second))
    return Upload(number, kind, first[:end] + second[begin:])


def _repeated(number: int, kind: str, chance: random.Random) -> Upload:
    content = _base(chance)
    begin = chance.randrange(len(content))
    end = chance.randrange(begin, len(content) + 1)
    return Upload(number, kind, content[:end] + content[begin:end] * chance.randint(1, 3) + content[end:])


def _lying_wav(number: int, kind: str, chance: random.Random) -> Upload:
    content = bytearray(wav(_pcm(chance, 2, "int16"), 2, "int16"))
    fields = {4: "<I", 16: "<I", 20: "<H", 22: "<H", 24: "<I", 28: "<I", 32: "<H", 34: "<H", 40: "<I"}
    for place in chance.sample(sorted(fields), chance.choice((1, 1, 1, 2, 3))):
        size = struct.calcsize(fields[place])
        value = chance.choice((*_EXTREMES, chance.getrandbits(32))) & (256**size - 1)
        struct.pack_into(fields[place], content, place, value)
    return Upload(number, kind, bytes(content))


def _lying_rf64(number: int, kind: str, chance: random.Random) -> Upload:
    content = bytearray(written(_pcm(chance, 2, "int24"), 2, "int24", "RF64"))
    sizes = content.index(b"ds64") + 8
    for place in chance.sample((sizes, sizes + 8, sizes + 16), chance.randint(1, 3)):
        value = chance.choice((*_EXTREMES, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, chance.getrandbits(64)))
        struct.pack_into("<Q", content, place, value)
    if chance.random() < 0.3:
        struct.pack_into("<I", content, sizes - 4, chance.choice(_EXTREMES))
    return Upload(number, kind, bytes(content))


def _lying_flac(number: int, kind: str, chance: random.Random) -> Upload:
    """Rate, channels, bits, total samples, block sizes and the sizes of metadata, at their extremes."""
    content = bytearray(written(_pcm(chance, 2, "int16"), 2, "int16", "FLAC"))
    for place in chance.sample((5, 8, 10, 12, 15, 18, 20, 21, 22, 24, 26, 43), chance.choice((1, 1, 2, 3))):
        width = chance.randint(1, 4)
        content[place : place + width] = chance.choice((bytes(4), b"\xff" * 4, chance.randbytes(4)))[:width]
    return Upload(number, kind, bytes(content))


def _many_chunks(number: int, kind: str, chance: random.Random) -> Upload:
    content = wav(_pcm(chance, 1, "int16"), 1, "int16")
    size = chance.choice((0, 1, 2, 0xFFFFFFFF))
    chunk = chance.choice((b"junk", b"LIST", b"fmt ", b"bext", b"cue ", b"smpl")) + struct.pack("<I", size)
    chunks = (chunk + bytes(min(size, 2))) * chance.choice((1, 10, 5_000))
    return Upload(number, kind, content[:12] + chunks + content[12:])


def _bomb(number: int, kind: str, chance: random.Random) -> Upload:
    content = bytearray(bomb(chance.choice((70, 130)), chance.choice((1, 8))))
    if chance.random() < 0.5:  # it does not say how long it is
        content[21] &= 0xF0
        content[22:26] = bytes(4)
    return Upload(number, kind, bytes(content))


def _random(number: int, kind: str, chance: random.Random) -> Upload:
    rest = chance.randbytes(chance.choice((0, 1, 50, 5_000, 200_000)))
    return Upload(number, kind, chance.choice(_STARTS) + rest)


def _not_finite(number: int, kind: str, chance: random.Random) -> Upload:
    samples = np.zeros(3_000, "<f4")
    samples[chance.randrange(3_000)] = chance.choice((np.nan, np.inf, -np.inf))
    return Upload(number, kind, wav(samples.tobytes(), 1, "float32"))


_KINDS: dict[str, Callable[[int, str, random.Random], Upload]] = {
    "whole": _whole,
    "flipped": _flipped,
    "cut short": _cut_short,
    "lying WAV": _lying_wav,
    "flipped head": _flipped_head,
    "lying FLAC": _lying_flac,
    "spliced": _spliced,
    "lying RF64": _lying_rf64,
    "repeated": _repeated,
    "random": _random,
    "many chunks": _many_chunks,
    "bomb": _bomb,
    "not finite": _not_finite,
}

"""FLAC frames, told apart and given other numbers without touching the sound in them.

Every frame says its number in its stream. A file that begins in the middle of a recording plays, but seeking
in it fails unless its frames count from 0: so they are renumbered, and their two checksums with them (RFC
9639, sections 9.1 and 9.3). Given their old numbers they are, byte for byte, what they were.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from phonobase.errors import CorruptRecording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SYNC = b"\xff\xf8"
"""What a frame of a stream whose frames are all of one size begins with."""

_SYNC_OF_ANY_SIZE = b"\xff\xf9"
"""What a frame of any other begins with."""

_NUMBER_OFFSET = 4
_MORE_BYTES_OF_BLOCK_SIZE = {6: 1, 7: 2}
_MORE_BYTES_OF_SAMPLE_RATE = {12: 1, 13: 2, 14: 2}
_LARGEST_HEADER = 16
_CRC8_POLYNOMIAL, _CRC16_POLYNOMIAL = 0x07, 0x8005
_CRC16_BYTES = 2
_LONGEST_BODY_BITS = 20
_READ_BYTES = 64 * 1024
_LARGEST_FRAME = 1 << _LONGEST_BODY_BITS
_ASCII = 0x80


def split(read: Callable[[int], bytes], first_number: int) -> Iterator[bytes]:
    """Yield the frames of a stream one by one.

    Args:
        read: Returns at most so many of the bytes that follow, and none at the end.
        first_number: What the first frame says that its number is.

    Raises:
        CorruptRecording: The bytes do not begin with a frame, or another than that one.
    """
    data, number = bytearray(), first_number
    while True:
        place = _end(data, number + 1, 1)
        while place < 0 and (more := read(_READ_BYTES)):
            searched = max(1, len(data) - _LARGEST_HEADER)
            data += more
            place = _end(data, number + 1, searched)
            if place < 0 and len(data) > _LARGEST_FRAME:
                break
        if not data:
            return
        if len(data) > _LARGEST_FRAME + _READ_BYTES or not _is_header(data, 0, number):
            raise CorruptRecording(f"FLAC frame {number} does not begin or end where it should")
        end = len(data) if place < 0 else place
        yield bytes(data[:end])
        del data[:end]
        number += 1


def renumbered(frame: bytes, old: int, new: int) -> bytes:
    """Return a frame with another number."""
    return frame if old == new else _numbered(frame, old, _SYNC, new)


def placed(frame: bytes, number: int, first_sample: int) -> bytes:
    """Return a frame as one of a stream whose frames may be of any size: it says which sample it begins with.

    Args:
        frame: A frame that says its number.
        number: Which that is.
        first_sample: Samples a channel before it; less than 2**36.
    """
    return _numbered(frame, number, _SYNC_OF_ANY_SIZE, first_sample)


def _numbered(frame: bytes, old: int, sync: bytes, number: int) -> bytes:
    before = frame[: _header_bytes(frame, 0, old)]
    behind_number = before[_NUMBER_OFFSET + len(_coded(old)) : -1]
    after = sync + before[len(sync) : _NUMBER_OFFSET] + _coded(number) + behind_number
    after += bytes([_crc8(after)])
    body = frame[len(before) : -_CRC16_BYTES]
    # The checksum is linear, so only what differs is computed, moved by the length of what does not.
    change = _moved(_crc16(before) ^ _crc16(after), len(body))
    checksum = int.from_bytes(frame[-_CRC16_BYTES:], "big") ^ change
    return after + body + checksum.to_bytes(_CRC16_BYTES, "big")


def _end(data: bytearray, next_number: int, start: int) -> int:
    """Return where the frame that the data begin with ends and the next begins; -1 where that is not there.

    What looks like a header may be sound, and be meant to: but the two bytes before one are the checksum of
    the frame that ends there.
    """
    place = data.find(_SYNC, start)
    while place >= 0:
        if _is_header(data, place, next_number) and _crc16(data[:place]) == 0:
            return place
        place = data.find(_SYNC, place + 1)
    return place


def _is_header(data: bytes | bytearray, place: int, number: int) -> bool:
    if data[place : place + 2] != _SYNC or len(data) < place + _NUMBER_OFFSET:
        return False
    coded = _coded(number)
    if data[place + _NUMBER_OFFSET : place + _NUMBER_OFFSET + len(coded)] != coded:
        return False
    header = bytes(data[place : place + _header_bytes(data, place, number)])
    return len(header) == _header_bytes(data, place, number) and _crc8(header[:-1]) == header[-1]


def _header_bytes(data: bytes | bytearray, place: int, number: int) -> int:
    block_size, sample_rate = data[place + 2] >> 4, data[place + 2] & 15
    more = _MORE_BYTES_OF_BLOCK_SIZE.get(block_size, 0) + _MORE_BYTES_OF_SAMPLE_RATE.get(sample_rate, 0)
    return _NUMBER_OFFSET + len(_coded(number)) + more + 1


def _coded(number: int) -> bytes:
    """Return a number of up to 36 bits as FLAC writes it: as UTF-8 would, were there such characters."""
    if number < _ASCII:
        return bytes([number])
    tail: list[int] = []
    room = 6
    while number >= 1 << room:
        tail.insert(0, _ASCII | number & 63)
        number >>= 6
        room -= 1
    return bytes([(0xFF << room + 1) & 0xFF | number, *tail])


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _crc8_table()[crc ^ byte]
    return crc


def _crc16(data: bytes | bytearray) -> int:
    # Those of neighbours are joined to that of both, until one is left; zeros before them change nothing.
    crcs = _crc16_table()[np.frombuffer(bytes(data), np.uint8)]
    for step in _crc16_steps():
        if len(crcs) <= 1:
            break
        if len(crcs) % 2:
            crcs = np.concatenate([crcs[:1] * 0, crcs])
        crcs = step[crcs[0::2]] ^ crcs[1::2]
    return int(crcs[0])


def _moved(crc: int, byte_count: int) -> int:
    """Return what a checksum becomes when so many zero bytes follow."""
    for bit, step in enumerate(_crc16_steps()):
        if byte_count >> bit & 1:
            crc = int(step[crc])
    return crc


@cache
def _crc8_table() -> list[int]:
    return [_remainder(byte, 8, _CRC8_POLYNOMIAL) for byte in range(256)]


@cache
def _crc16_table() -> npt.NDArray[np.uint16]:
    return np.array([_remainder(byte << 8, 16, _CRC16_POLYNOMIAL) for byte in range(256)], dtype=np.uint16)


@cache
def _crc16_steps() -> list[npt.NDArray[np.uint16]]:
    """Return what each checksum becomes when 1, 2, 4, 8 ... zero bytes follow."""
    checksums = np.arange(1 << 16, dtype=np.uint16)
    steps = [(checksums << 8) ^ _crc16_table()[checksums >> 8]]
    for _ in range(_LONGEST_BODY_BITS):
        steps.append(steps[-1][steps[-1]])
    return steps


def _remainder(value: int, bits: int, polynomial: int) -> int:
    """Return what a byte, in the highest bits of a checksum, leaves of itself when it is shifted out."""
    for _ in range(8):
        value <<= 1
        if value >> bits:
            value ^= 1 << bits | polynomial
    return value

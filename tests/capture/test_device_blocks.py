import threading
import time

import pytest

from phonobase.capture import Device, DeviceInput, _portaudio, device
from phonobase.pcm import AudioFormat

RATE = 1000
BOUND_S = 10
LINE = Device(0, "line", "test", 2, RATE, is_default=True)


class Line:
    """Stands in for a PortAudio stream that gives blocks of ten frames and overflows when told."""

    latency = 0.5

    def __init__(self) -> None:
        self.ready = threading.Semaphore(0)
        self.lost: tuple[int, ...] = ()
        self.reads = 0

    def start(self) -> None:
        """Begins."""

    @property
    def read_available(self) -> int:
        """A block, once the test allows it."""
        return 10 if self.ready.acquire(blocking=False) else 0

    def read(self, frames: int) -> tuple[bytes, bool]:
        """Gives a block that holds its number."""
        self.reads += 1
        return self.reads.to_bytes(2, "little") * frames, self.reads in self.lost

    def end(self, source: DeviceInput) -> None:
        """Ends the input without a thread that waits."""
        source.stop()
        source.close()

    def abort(self) -> None:
        """Ends."""

    def close(self) -> None:
        """Ends for good."""


class Ticks:
    """A clock that goes on by a prime number of nanoseconds at each look."""

    STEP_NS = 1_000_003

    def __init__(self) -> None:
        self._now_ns = 0

    def wall_us(self) -> int:
        """The beginning of time."""
        return 0

    def elapsed_ns(self) -> int:
        """Goes on."""
        self._now_ns += self.STEP_NS
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        """Nobody waits for it."""


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """The only device of the machine."""
    stand_in = Line()
    monkeypatch.setattr(device, "list_devices", lambda: [LINE])
    monkeypatch.setattr(_portaudio, "open_stream", lambda *_, **__: stand_in)
    monkeypatch.setattr(_portaudio, "close_stream", lambda _: None)
    return stand_in


def test_what_the_driver_lost_is_said_with_the_block_behind_it(line: Line) -> None:
    """The flag of a read reaches the block that was read, and no other."""
    line.lost = (2,)
    source = DeviceInput(AudioFormat(RATE, 1))
    blocks = source.blocks()
    line.ready.release(3)
    heard = [next(blocks) for _ in range(3)]
    assert [block.frames[:, 0].tolist() for block in heard] == [[1] * 10, [2] * 10, [3] * 10]
    assert [block.overflowed for block in heard] == [False, True, False]
    line.end(source)


def test_a_block_was_captured_before_it_arrived(line: Line) -> None:
    """Its time is that of its first frame: now, less all frames that had come by now."""
    source = DeviceInput(AudioFormat(RATE, 1))
    blocks = source.blocks()
    line.ready.release()
    before_us = time.time_ns() // 1000
    block = next(blocks)
    after_us = time.time_ns() // 1000
    assert block.captured_at_us is not None
    assert before_us - 10_000 - 1000 <= block.captured_at_us <= after_us - 10_000 + 1000
    line.end(source)


def test_a_block_tells_when_its_last_frame_was_there(line: Line) -> None:
    """That is by the clock that goes on, whatever the wall clock says."""
    source = DeviceInput(AudioFormat(RATE, 1), clock=Ticks())
    blocks = source.blocks()
    line.ready.release(2)
    arrived = [next(blocks).arrived_ns for _ in range(2)]
    assert None not in arrived
    assert arrived == sorted(arrived, key=lambda ns: ns or 0)
    assert all(ns is not None and ns % Ticks.STEP_NS == 0 for ns in arrived)
    line.end(source)


def test_what_nobody_fetches_is_dropped_and_said(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue drops the newest sound, and the next block that fits says how much that was."""
    monkeypatch.setattr(device, "_held_frames", lambda _: 20)
    source = DeviceInput(AudioFormat(RATE, 1))
    blocks = source.blocks()
    line.ready.release()
    first = next(blocks)
    line.ready.release(4)
    deadline = time.monotonic() + BOUND_S
    while line.reads < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    held = [next(blocks), next(blocks)]
    line.ready.release()
    behind = next(blocks)
    numbers = [int(block.frames[0, 0]) for block in (first, *held, behind)]
    assert numbers == [1, 2, 3, 6]
    assert [block.dropped_frames for block in (first, *held, behind)] == [0, 0, 0, 20]
    assert not any(block.overflowed for block in (first, *held, behind))
    line.end(source)

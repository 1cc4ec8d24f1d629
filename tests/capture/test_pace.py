import itertools
import threading
import time

import numpy as np
import pytest

from phonobase.capture import Block, ToneInput, limited, paced
from phonobase.pcm import AudioFormat
from tests.support.clock import SetClock

FORMAT = AudioFormat(8000, 1)
BOUND_S = 10


def test_a_second_takes_a_second_and_carries_its_time() -> None:
    """Blocks come when a device would have heard them; their times are exact to the microsecond."""
    source = paced(ToneInput(FORMAT))
    before_us, began = time.time_ns() // 1000, time.monotonic()
    blocks = list(limited(source.blocks(), 8000))
    assert 1 <= time.monotonic() - began < BOUND_S
    times = [block.captured_at_us for block in blocks]
    first = times[0]
    assert first is not None
    assert before_us <= first < before_us + BOUND_S * 1_000_000
    assert times == [first + 100_000 * number for number in range(10)]


def test_a_slow_consumer_makes_nothing_late_for_good() -> None:
    """What was due while the consumer was away comes at once, until the clock is caught up with."""
    blocks = paced(ToneInput(FORMAT)).blocks()
    began = time.monotonic()
    next(blocks)
    time.sleep(0.6)
    list(itertools.islice(blocks, 9))
    assert 1 <= time.monotonic() - began < 1.5


def test_an_hour_takes_as_long_as_its_clock_says() -> None:
    """With a clock of its own an hour passes at once, and somebody who sets the wall clock moves no block."""
    clock = SetClock()
    began_us = clock.now_us
    times = []
    for number, block in enumerate(
        limited(paced(ToneInput(AudioFormat(10, 1), 1.0), clock).blocks(), 36_000)
    ):
        if number == 1000:
            clock.set_us(3_600_000_000)
        times.append(block.captured_at_us)
    assert times == [began_us + number * 100_000 for number in range(36_000)]
    assert clock.since_start_us == 3_600_000_000


def test_stop_interrupts_the_wait() -> None:
    """A long block is not waited for once its input was stopped."""
    source = paced(ToneInput(FORMAT))
    source._source.blocks = lambda: iter([Block(np.zeros((8_000_000, 1), np.int16))])  # type: ignore[method-assign]
    threading.Timer(0.2, source.stop).start()
    began = time.monotonic()
    assert list(source.blocks()) == []
    assert time.monotonic() - began < BOUND_S


def test_a_paced_input_is_the_input_it_paces() -> None:
    """It passes on what it does not change."""
    tone = ToneInput(FORMAT)
    source = paced(tone)
    assert (source.format, source.frame_count) == (FORMAT, None)
    assert source.description == {**tone.description, "paced": "real time"}
    source.close()


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (800, [800]), (801, [800, 1]), (2000, [800, 800, 400])]
)
def test_a_limit_cuts_the_last_block(count: int, sizes: list[int]) -> None:
    """Exactly so many frames come, and they are the first ones."""
    tone = ToneInput(FORMAT)
    blocks = list(limited(tone.blocks(), count))
    assert [len(block.frames) for block in blocks] == sizes
    joined = b"".join(block.frames.tobytes() for block in blocks)
    assert joined == tone.frames(0, count).tobytes()


def test_a_limit_asks_for_no_block_too_many() -> None:
    """The input of a device is not waited for once there is enough."""
    one = Block(np.zeros((5, 1), np.int16))

    def blocks() -> itertools.chain[Block]:
        return itertools.chain([one], (pytest.fail("asked for too much") for _ in range(1)))

    assert list(limited(blocks(), 5)) == [one]

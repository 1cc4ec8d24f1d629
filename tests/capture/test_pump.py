import threading
import time

import pytest

from phonobase.capture._pump import Pump, Stalled

BOUND_S = 10


def test_everything_comes_in_order_through_a_small_queue() -> None:
    """A fetching thread that is faster waits for the one who asks."""

    def fetch(pump: Pump[int]) -> None:
        for number in range(1000):
            pump.put(number, 1)

    assert list(Pump(fetch, capacity=3, name="test").items(grace_s=0)) == list(range(1000))


def test_an_error_comes_after_what_was_fetched_before() -> None:
    """Nothing that was fetched is lost to an error."""

    def fetch(pump: Pump[int]) -> None:
        pump.put(1, 1)
        pump.put(2, 1)
        raise RuntimeError("broken")

    got: list[int] = []
    with pytest.raises(RuntimeError, match=r"^broken$"):
        got.extend(Pump(fetch, capacity=10, name="test").items(grace_s=0))
    assert got == [1, 2]


def test_what_has_no_room_is_refused_by_offer() -> None:
    """A device that cannot wait learns that its sound was dropped; one item is always held."""
    offered: list[bool] = []

    def fetch(pump: Pump[int]) -> None:
        offered.extend(pump.offer(number, size) for number, size in ((1, 99), (2, 1)))

    pump = Pump(fetch, capacity=10, name="test")
    assert pump.join(BOUND_S)
    assert (offered, list(pump.items(grace_s=0))) == ([True, False], [1])


def test_stop_yields_what_is_held_and_leaves_a_thread_that_hangs() -> None:
    """Neither is anything lost that was fetched, nor is a hanging thread waited for."""
    held, release = threading.Event(), threading.Event()

    def fetch(pump: Pump[int]) -> None:
        pump.put(1, 1)
        held.set()
        release.wait()

    pump = Pump(fetch, capacity=10, name="test")
    assert held.wait(BOUND_S)
    pump.stop()
    began = time.monotonic()
    assert list(pump.items(grace_s=0.1)) == [1]
    assert time.monotonic() - began < BOUND_S
    assert not pump.join(0)
    release.set()


def test_stop_frees_a_thread_that_waits_for_room() -> None:
    """A thread whose items nobody takes ends."""
    taken: list[bool] = []

    def fetch(pump: Pump[int]) -> None:
        taken.extend(pump.put(number, 1) for number in range(2))

    pump = Pump(fetch, capacity=1, name="test")
    pump.stop()
    assert pump.join(BOUND_S)
    assert taken == [True, False]


def test_a_thread_that_fetches_nothing_for_too_long_has_stalled() -> None:
    """Whoever asks is not left waiting for ever."""
    release = threading.Event()

    def fetch(_: Pump[int]) -> None:
        release.wait()

    pump = Pump(fetch, capacity=1, name="test")
    with pytest.raises(Stalled):
        next(pump.items(stall_s=0.1, grace_s=0))
    release.set()


def test_a_process_that_slept_has_not_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which the fetching thread could not run either is not counted."""
    release = threading.Event()

    def fetch(pump: Pump[int]) -> None:
        release.wait()
        pump.put(1, 1)

    pump = Pump(fetch, capacity=1, name="test")
    looks = iter([0.0])

    def wakes_after_a_minute() -> float:
        if (now := next(looks, None)) is None:
            release.set()
        return 60.0 if now is None else now

    monkeypatch.setattr(time, "monotonic", wakes_after_a_minute)
    assert next(pump.items(stall_s=6, grace_s=0)) == 1

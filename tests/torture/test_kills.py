from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.torture.service import ALL_IS_KEPT, FACTOR, FORWARDER, SUPERVISOR, Service

if TYPE_CHECKING:
    from pathlib import Path

RATE = 8000
SOURCES = ("north", "east", "south", "west")
KILLS = 13 if FACTOR == 1 else round(25 * FACTOR)
OTHERS = {4: FORWARDER, 9: FORWARDER, 11: SUPERVISOR}
"""Who is killed in place of a recorder, of every twelve."""
LONGEST_PAUSE_S = 0.8
HELD_BACK_S, HELD_BACK_AT_MOST_S = 1, 5
"""Sound that waits until it is clear when it was heard: at first, and on a machine that is too busy."""


@pytest.mark.parametrize("grace", [ALL_IS_KEPT] if FACTOR == 1 else [ALL_IS_KEPT, "1s"])
def test_kills_cost_a_chunk_each(tmp_path: Path, migrated_postgres_url: str, grace: str) -> None:
    """After kill -9 of recorders, forwarders and supervisors every frame is in the archive or in a gap.

    What is there is what was heard, once, and the same at both ends. A kill costs the chunk being filled, or
    what waits to be put in its place; whoever ends because its supervisor died loses nothing.
    """
    service = Service(tmp_path, migrated_postgres_url, SOURCES, RATE, grace)
    chance, killed = random.Random(20_260_301), set()
    with service.running():
        for number in range(KILLS):
            at_work = service.until(service.at_work)
            time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
            if number % 12 in OTHERS:
                service.kill(OTHERS[number % 12])
            else:
                # Now and then whoever it is, also one that is only starting.
                killed.add(service.kill(chance.choice(SOURCES if number % 4 == 0 else at_work)))
        service.settle()

    lost = service.lost()
    for source, held in service.judged().items():
        within_s = (held.heard[-1][1] - held.heard[0][0]) / RATE
        gaps = [(end - first) / RATE for first, end, cause in held.lost if cause == "process-down"]
        assert gaps
        assert held.holes(math.ceil(held.shift_s * RATE) + 1) == []
        print(f"{source}: {held.heard_frames / RATE:.1f} of {within_s:.1f} s", end=", ")
        print(f"times off by {held.shift_s * 1000:.1f} ms at most", end=", ")
        print(f"{len(gaps)} gaps of {sum(gaps) / len(gaps):.1f} s at the mean and {max(gaps):.1f} s at most")
    chunk_s = (service.chunk_frames + 1) / RATE
    costs = [frames / RATE for pid, frames in lost.items() if pid in killed]
    spared = [frames for pid, frames in lost.items() if pid not in killed]
    mean_s, more = sum(costs) / len(costs), sum(cost > chunk_s for cost in costs)
    print(f"{KILLS} kills, {len(costs)} of recorders that had heard something; of that each lost", end=" ")
    print(f"{mean_s:.3f} s at the mean and {max(costs):.3f} s at most, {more} of them more than a chunk")
    assert mean_s <= chunk_s + HELD_BACK_S
    assert max(costs) <= chunk_s + HELD_BACK_AT_MOST_S
    assert spared == [0] * len(spared)

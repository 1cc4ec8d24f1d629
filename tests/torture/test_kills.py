from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

from tests.torture.service import FACTOR, FORWARDER, SUPERVISOR, Service

if TYPE_CHECKING:
    from pathlib import Path

RATE = 8000
SOURCES = ("north", "east", "south", "west")
KILLS = round(25 * FACTOR)
OTHERS = {4: FORWARDER, 9: FORWARDER, 11: SUPERVISOR}
"""Who is killed in place of a recorder, of every twelve."""
LONGEST_PAUSE_S = 1.0
DEVICE_HOLDS_S = 5
"""Sound that a recorder without a processor has not fetched yet."""
HELD_BACK_S = 1
"""Sound at the beginning of a run that waits until the run's time is known."""


def test_kills_cost_a_chunk_each(tmp_path: Path, migrated_postgres_url: str) -> None:
    """After kill -9 of recorders, forwarders and supervisors every frame is in the archive or in a gap.

    What is there is what was heard, once, and the same at both ends. A kill costs the chunk being filled and
    what had not come out of the device; whoever ends because its supervisor died loses nothing.
    """
    service = Service(tmp_path, migrated_postgres_url, SOURCES, RATE)
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
        gaps = [(end - first) / RATE for first, end, _ in held.lost]
        print(f"{source}: {held.heard_frames / RATE:.1f} of {within_s:.1f} s", end=", ")
        print(f"times off by {held.shift_s * 1000:.1f} ms at most", end=", ")
        print(f"{len(gaps)} gaps of {sum(gaps) / len(gaps):.1f} s at the mean and {max(gaps):.1f} s at most")
        assert held.holes(math.ceil(held.shift_s * RATE) + 1) == []
        assert {cause for _, _, cause in held.lost} >= {"process-down"}
    costs = [frames / RATE for pid, frames in lost.items() if pid in killed]
    spared = [frames for pid, frames in lost.items() if pid not in killed]
    print(f"{KILLS} kills, {len(costs)} of recorders that had heard something; of that each lost", end=" ")
    print(f"{sum(costs) / len(costs):.3f} s at the mean and {max(costs):.3f} s at most")
    assert max(costs) <= (service.chunk_frames + 1) / RATE + HELD_BACK_S + DEVICE_HOLDS_S
    assert spared == [0] * len(spared)

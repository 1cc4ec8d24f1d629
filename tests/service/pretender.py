"""Stands in for the program: does what the file NAME.do says, and notes each start.

well: hears and says so, until SIGTERM; deaf: says that it hears, and counts no frames; mute: says nothing;
deaf-to-signals: as well, and heeds no SIGTERM; a number: ends with that. Of phonobase it imports nothing, so
it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    """Plays a recorder, or a forwarder."""
    words = sys.argv[1:]
    name = words[words.index("--only") + 1] if "--only" in words else "forwarder"
    folder = Path(os.environ["PRETEND_IN"])
    with (folder / f"{name}.starts").open("a", encoding="ascii") as starts:
        starts.write(f"{os.getpid()} {time.monotonic()}\n")
    (folder / f"{name}.call").write_text("\n".join(words))
    do = (folder / f"{name}.do").read_text()
    if do.isdecimal():
        sys.exit(int(do))
    signal.signal(signal.SIGTERM, _end if do != "deaf-to-signals" else signal.SIG_IGN)
    told = json.loads((folder / f"{name}.json").read_text())
    path, frames = Path(told.pop("path")), 0
    while True:
        if do != "mute":
            frames += 0 if do == "deaf" else 800
            now_us = time.time_ns() // 1000
            times = dict.fromkeys(("started_us", "updated_us", "heard_until_us", "state_since_us"), now_us)
            new = path.with_name(f"new-{name}")
            new.write_text(json.dumps({**told, **times, "pid": os.getpid(), "frames_heard": frames}))
            new.replace(path)
        time.sleep(0.05)


def _end(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()

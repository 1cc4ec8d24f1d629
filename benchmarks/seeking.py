"""People who seek: each on a connection of their own, asking for parts of long files, somewhere in them.

    python benchmarks/seeking.py SECONDS LISTENERS PAUSE SIZE=URL...

Prints one line of JSON: how long each took to its first byte, in milliseconds, and what came in all.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LEAST, MOST = 64 * 1024, 256 * 1024
_PATIENCE_S = 60


@dataclass
class Heard:
    """What came of a run.

    Attributes:
        first_byte_ms: From each question to the first byte of its sound.
        bytes: All that came, without headers.
        failures: What was not answered as it should be.
    """

    first_byte_ms: list[float] = field(default_factory=list)
    bytes: int = 0
    failures: list[str] = field(default_factory=list)


async def listen(
    number: int, files: list[tuple[int, str]], pause_s: float, ends_s: float, heard: Heard
) -> None:
    """Seek until the time is over."""
    chance = random.Random(number)
    host = urlsplit(files[0][1])
    await asyncio.sleep(chance.uniform(0, pause_s))
    reader, writer = await asyncio.open_connection(host.hostname, host.port)
    while time.monotonic() < ends_s:
        size, url = chance.choice(files)
        length = chance.randint(LEAST, MOST)
        first = chance.randrange(size - length)
        parts = urlsplit(url)
        asked_s = time.perf_counter()
        writer.write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Range: bytes={first}-{first + length - 1}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status != b"206":
            heard.failures.append(head.partition(b"\r\n")[0].decode())
            break
        await reader.readexactly(1)
        heard.first_byte_ms.append(1000 * (time.perf_counter() - asked_s))
        await reader.readexactly(length - 1)
        heard.bytes += length
        left_s = max(0.0, ends_s - time.monotonic())
        await asyncio.sleep(min(chance.expovariate(1 / pause_s), left_s))
    writer.close()


async def run(seconds: float, listeners: int, pause_s: float, files: list[tuple[int, str]]) -> Heard:
    """Let so many seek for a while."""
    heard, ends_s = Heard(), time.monotonic() + seconds
    everybody = [listen(number, files, pause_s, ends_s, heard) for number in range(listeners)]
    done = await asyncio.wait_for(asyncio.gather(*everybody, return_exceptions=True), seconds + _PATIENCE_S)
    heard.failures += [repr(error) for error in done if error is not None]
    return heard


def main() -> None:
    """Seek and say what came of it."""
    seconds, listeners, pause_s = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    files = [(int(size), url) for size, _, url in (each.partition("=") for each in sys.argv[4:])]
    began_s = time.monotonic()
    heard = asyncio.run(run(seconds, listeners, pause_s, files))
    print(
        json.dumps(
            {
                "first_byte_ms": heard.first_byte_ms,
                "bytes": heard.bytes,
                "seconds": time.monotonic() - began_s,
                "failures": heard.failures,
            }
        )
    )


if __name__ == "__main__":
    main()

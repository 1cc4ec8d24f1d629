"""Records from a device in a process of its own, as PortAudio needs it, and tells what it heard.

Runs until a line comes on standard input. Says "hearing" at the first block, and at the end one line of
JSON; the frames go to a file.
"""

import json
import sys
import threading
import time
from pathlib import Path

from phonobase.capture import DeviceInput
from phonobase.errors import PhonobaseError
from phonobase.pcm import AudioFormat, SampleFormat, to_bytes


def main(rate: str, channels: str, sample_format: str, device: str, burners: str, to: str) -> None:
    """Records what is heard to a file."""
    audio_format = AudioFormat(int(rate), int(channels), SampleFormat(sample_format))
    source = DeviceInput(audio_format, device or None)
    for _ in range(int(burners)):
        threading.Thread(target=_burn, daemon=True).start()
    threading.Thread(target=_stop_on_request, args=(source,), daemon=True).start()
    blocks: list[tuple[int | None, int]] = []
    overflows, error, began_us = 0, "", time.time_ns() // 1000
    with Path(to).open("wb") as file:
        try:
            for block in source.blocks():
                if not blocks:
                    print("hearing", flush=True)
                file.write(to_bytes(block.frames, audio_format.sample_format))
                blocks.append((block.captured_at_us, len(block.frames)))
                overflows += block.overflowed
        except PhonobaseError as caught:
            error = f"{type(caught).__name__}: {caught}"
    failed = time.monotonic()
    source.close()
    report = {"began_us": began_us, "blocks": blocks, "overflows": overflows, "error": error}
    report |= {"closing_s": time.monotonic() - failed, "description": source.description}
    print(json.dumps(report), flush=True)


def _burn() -> None:
    while True:
        sum(range(1000))


def _stop_on_request(source: DeviceInput) -> None:
    sys.stdin.readline()
    source.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

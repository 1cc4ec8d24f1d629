"""Records from a device to standard output until terminated, with nothing but sounddevice."""

import argparse
import signal
import sys
import threading
from types import FrameType

import sounddevice


def main() -> None:
    """Says "recording" on standard error as soon as the stream runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--latency", type=float, required=True)
    parser.add_argument("--busy-threads", type=int, required=True)
    arguments = parser.parse_args()

    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    for _ in range(arguments.busy_threads):
        threading.Thread(target=_keep_busy, daemon=True).start()
    stream = sounddevice.RawInputStream(
        samplerate=arguments.rate,
        channels=arguments.channels,
        dtype=arguments.dtype,
        device=arguments.device,
        latency=arguments.latency,
    )
    with stream:
        print("recording", file=sys.stderr, flush=True)
        while not ended.is_set():
            data, _ = stream.read(arguments.rate // 10)
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _keep_busy() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()

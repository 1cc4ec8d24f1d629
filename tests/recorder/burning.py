"""The program, with threads beside it that never rest once it gets SIGUSR1: burning.py COUNT ARGUMENT..."""

import signal
import sys
import threading

from phonobase.cli import main


def _burn() -> None:
    while True:
        sum(range(1000))


def _burn_in_threads(count: int) -> None:
    for _ in range(count):
        threading.Thread(target=_burn, daemon=True).start()


if __name__ == "__main__":
    burners = int(sys.argv.pop(1))
    signal.signal(signal.SIGUSR1, lambda *_: _burn_in_threads(burners))
    main()

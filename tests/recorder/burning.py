"""The program, with threads beside it that never rest: burning.py COUNT ARGUMENT..."""

import sys
import threading

from phonobase.cli import main


def _burn() -> None:
    while True:
        sum(range(1000))


if __name__ == "__main__":
    for _ in range(int(sys.argv.pop(1))):
        threading.Thread(target=_burn, daemon=True).start()
    main()

"""``python -m phonobase``: the program."""

from __future__ import annotations

from phonobase.cli import main

main()

"""The command line: ``phonobase``."""

from __future__ import annotations

from phonobase.cli.app import main

__all__ = ["main"]

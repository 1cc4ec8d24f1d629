"""Takes along what the page needs from npm; all else about the package stands in pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import SetupError

_ROOT = Path(__file__).parent
_PAGE = _ROOT / "src/phonobase/web/page"
_BUILT = _PAGE / "built"
_LAST = _BUILT / "LICENSE"
"""What a build of the page writes last."""
_SERVED = ("first.js", "icon.svg", "index.html", "main.css", "main.js")


def _build_page() -> None:
    """Have npm build the page, unless it is built already, as in a source distribution.

    Raises:
        SetupError: It cannot be built.
    """
    if (_ROOT / "PKG-INFO").exists() or _is_built():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm, which builds the page, is missing: apt-get install npm")
    for arguments in (["ci", "--omit=dev", "--ignore-scripts"], ["run", "build"]):
        done = subprocess.run([npm, *arguments], cwd=_ROOT, check=False)  # noqa: S603 - fixed words
        if done.returncode != 0:
            raise SetupError(f"the page cannot be built: npm {arguments[0]} says why above")


def _is_built() -> bool:
    """Return whether the page is there, and nothing of it was changed since it was built."""
    if not all(path.exists() for path in (_LAST, *(_BUILT / name for name in _SERVED))):
        return False
    made_of = [*_PAGE.glob("*.*"), *_ROOT.glob("package*.json")]
    return all(path.stat().st_mtime_ns <= _LAST.stat().st_mtime_ns for path in made_of)


class _BuildPy(build_py):
    """A wheel holds the page whole; a checkout that is installed to be edited may do without."""

    def run(self) -> None:
        if not self.editable_mode:
            _build_page()
        super().run()


class _Sdist(sdist):
    """So does a source distribution, which is built where npm is missing, too."""

    def run(self) -> None:
        _build_page()
        super().run()


setup(cmdclass={"build_py": _BuildPy, "sdist": _Sdist})

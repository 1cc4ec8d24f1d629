from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.store.judge import Program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what the repository holds."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():  # what pyproject.toml names and is not there fails the build
            shutil.copy(ROOT / name, source)
    for name in ("src", "migrations"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    build = [sys.executable, "-c", _BUILD, str(folder)]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("phonobase-*.whl")
    return built


_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
"""What a build front end does, without fetching anything."""


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of an environment of its own, holding the wheel and what it needs, not the tree."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    variables = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", variables))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "needs.pth").write_text(_without_phonobase(home), encoding="utf-8")
    return home


def _without_phonobase(home: Path) -> str:
    """Returns the folder of this environment's packages, as links, without its own way to phonobase."""
    links = home / "needs"
    links.mkdir()
    for scheme in ("purelib", "platlib"):
        for path in Path(sysconfig.get_path(scheme)).iterdir():
            if (
                "phonobase" not in path.name.lower()
                and path.suffix != ".pth"
                and not (links / path.name).exists()
            ):
                (links / path.name).symlink_to(path)
    return f"{links}\n"


def _run(home: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    python = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)})) / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    """Every module of the tree, the migrations and the mark of typing are inside; tests are not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        f"phonobase/{path.relative_to(ROOT / 'src/phonobase').as_posix()}"
        for path in (ROOT / "src/phonobase").rglob("*.py")
    } | {
        f"phonobase/migrations/{path.relative_to(ROOT / 'migrations').as_posix()}"
        for path in (ROOT / "migrations").rglob("*.py")
    }
    wanted = modules | {"phonobase/py.typed", "phonobase/migrations/script.py.mako"}
    assert {name for name in names if ".dist-info/" not in name} == wanted
    (licence,) = (name for name in names if name.endswith("LICENSE"))
    assert ".dist-info/" in licence


def test_an_installed_phonobase_works_without_the_tree(installed: Path, tmp_path: Path) -> None:
    """Elsewhere, with nothing of the repository in sight, the program makes an archive and records."""
    where = _run(installed, "-c", "import phonobase; print(phonobase.__file__)", cwd=tmp_path).stdout
    assert Path(where.strip()).is_relative_to(installed)
    program = ["-c", "from phonobase.cli import main; main()", "--db", "sqlite:///made.db"]
    _run(installed, *program, "db", "upgrade", cwd=tmp_path)
    url = f"sqlite:///{tmp_path / 'made.db'}"
    assert Program(url).value("SELECT version_num FROM phono_alembic_version").startswith("phonobase_")
    recorded = _run(
        installed, *program, "record", "--input", "tone", "--duration", "1", "--no-realtime", cwd=tmp_path
    )
    found = Program(url).value("SELECT id FROM phono_clips WHERE seconds = 1 AND state = 'complete'")
    assert recorded.stdout.strip() == found


def test_an_installed_phonobase_upgrades_without_the_tree(installed: Path, tmp_path: Path) -> None:
    """The wheel alone brings an archive of the first revision up to its own, and finds all of it right."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    Program(url).run_script((ROOT / "tests/store/frozen/phonobase_0001.sqlite.sql").read_text())
    program = ["-c", "from phonobase.cli import main; main()", "--db", url]
    for command in (["db", "upgrade"], ["db", "check"], ["recover"], ["verify"]):
        _run(installed, *program, *command, cwd=tmp_path)
    newest = max(path.stem for path in (ROOT / "migrations/versions").glob("phonobase_*.py"))
    assert Program(url).value("SELECT version_num FROM phono_alembic_version") == newest
    assert Program(url).value("SELECT count(*) FROM phono_clips WHERE state <> 'recording'") == "3"


_HOST = """
import phonobase
reveal_type(phonobase.Archive("sqlite:///a.db").find(source="desk")[0].started_at)
phonobase.Archive("sqlite:///a.db").find(sauce="desk")
"""


def test_a_hosts_types_are_checked_against_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The types of the installed package reach mypy: what a call gives, and what it does not take."""
    (tmp_path / "host.py").write_text(_HOST)
    python = Path(sysconfig.get_path("scripts", "venv", {"base": str(installed)})) / "python"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", python, "--follow-imports=silent", "host.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "datetime.datetime"' in done.stdout
    assert 'Unexpected keyword argument "sauce" for "find" of "Archive"' in done.stdout
    assert "import-untyped" not in done.stdout


def test_the_program_is_named_phonobase(wheel: Path) -> None:
    """Installing the wheel makes the program `phonobase`."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert archive.read(name).decode().split() == [
        "[console_scripts]",
        "phonobase",
        "=",
        "phonobase.cli:main",
    ]


_QUIET = """
import logging, sys, warnings
before = logging.root.handlers[:], logging.root.level, logging.root.manager.loggerDict.copy()
import phonobase
assert "sounddevice" not in sys.modules, "the sound library was loaded"
assert (logging.root.handlers, logging.root.level) == before[:2], "logging was configured"
assert not any(
    logger.handlers for name, logger in logging.root.manager.loggerDict.items()
    if isinstance(logger, logging.Logger) and name.startswith("phonobase")
)
names = phonobase.__all__
print(len(names) == len(set(names)), all(map(phonobase.__dict__.get, names)))
"""


def test_importing_does_nothing_but_import(installed: Path, tmp_path: Path) -> None:
    """`import phonobase` loads no sound library, configures no logging, prints nothing, writes nothing."""
    done = _run(installed, "-W", "error", "-c", _QUIET, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("True True\n", "")
    assert list(tmp_path.iterdir()) == []

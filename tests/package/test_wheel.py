from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.store.judge import Program

ROOT = Path(__file__).parents[2]
PAGE = "phonobase/web/page"
BUILT = ROOT / "src/phonobase/web/page/built"
PAGE_FILES = {
    "LICENSE",
    "first.js",
    "first.js.map",
    "icon.svg",
    "index.html",
    "main.css",
    "main.css.map",
    "main.js",
    "main.js.map",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what the repository holds and the page that was built of it."""
    folder = tmp_path_factory.mktemp("wheel")
    done = _build("wheel", _copy(folder), folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("phonobase-*.whl")
    return built


def _copy(folder: Path) -> Path:
    """Returns a copy of the repository, without what was made in it."""
    source = folder / "source"
    source.mkdir()
    for name in (
        "pyproject.toml",
        "setup.py",
        "MANIFEST.in",
        "README.md",
        "LICENSE",
        "package.json",
        "package-lock.json",
        ".npmrc",
    ):
        if (ROOT / name).exists():  # what pyproject.toml names and is not there fails the build
            shutil.copy(ROOT / name, source)
    for name in ("src", "migrations"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    return source


def _build(kind: str, source: Path, into: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Does what a build front end does, without fetching anything for Python; ``path`` finds programs."""
    build = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    environment = os.environ | ({} if path is None else {"PATH": path})
    return subprocess.run(
        [sys.executable, "-c", build, str(into)],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


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
    page = {f"{PAGE}/built/{name}" for name in PAGE_FILES}
    wanted = modules | page | {"phonobase/py.typed", "phonobase/migrations/script.py.mako"}
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert len([name for name in names if ".dist-info/" in name and name.endswith("LICENSE")]) == 1


def test_the_page_in_the_wheel_is_whole_and_has_its_licence(wheel: Path) -> None:
    """What was built stands in the wheel byte for byte, with the licence of the library inside."""
    with zipfile.ZipFile(wheel) as archive:
        page = {name: archive.read(f"{PAGE}/built/{name}") for name in PAGE_FILES}
    assert page == {path.name: path.read_bytes() for path in BUILT.iterdir()}
    assert page["LICENSE"] == (ROOT / "node_modules/wavesurfer.js/LICENSE").read_bytes()
    assert page["LICENSE"].startswith(b"BSD 3-Clause License")


def test_a_source_distribution_needs_no_npm(tmp_path: Path) -> None:
    """It holds the page and what it is built of; a wheel is built from it without npm, whatever its times."""
    done = _build("sdist", _copy(tmp_path), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (packed,) = tmp_path.glob("phonobase-*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert {"package.json", "package-lock.json", ".npmrc"} <= {path.name for path in source.iterdir()}
    main = source / "src/phonobase/web/page/main.js"
    assert main.read_bytes() == (BUILT.parent / "main.js").read_bytes()
    main.touch()
    done = _build("wheel", source, tmp_path, path=str(tmp_path / "nothing"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert _page_in(tmp_path) == PAGE_FILES


@pytest.mark.parametrize(("kind", "lost"), [("wheel", "LICENSE"), ("wheel", "main.js"), ("sdist", "main.js")])
def test_a_checkout_without_npm_says_what_to_install(kind: str, lost: str, tmp_path: Path) -> None:
    """Where the page is not built as a whole and cannot be, the build ends with one line of advice."""
    source = _copy(tmp_path)
    (source / "src/phonobase/web/page/built" / lost).unlink()
    done = _build(kind, source, tmp_path, path=str(tmp_path / "nothing"))
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("npm, which builds the page, is missing: apt-get install npm")


@pytest.mark.parametrize("changed", ["src/phonobase/web/page/api.js", "package-lock.json"])
def test_a_checkout_builds_a_page_that_was_changed(changed: str, tmp_path: Path) -> None:
    """Building a wheel runs npm as package-lock.json pins it, without what only the checks need."""
    source = _copy(tmp_path)
    (source / changed).touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    npm = programs / "npm"
    npm.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path / "calls"}\n')
    npm.chmod(0o755)
    done = _build("wheel", source, tmp_path, path=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "calls").read_text() == "ci --omit=dev --ignore-scripts\nrun build\n"
    assert _page_in(tmp_path) == PAGE_FILES


def _page_in(folder: Path) -> set[str]:
    """Returns the names of the page's files in the wheel that was built there."""
    (built,) = folder.glob("phonobase-*.whl")
    names = zipfile.ZipFile(built).namelist()
    return {name.removeprefix(f"{PAGE}/built/") for name in names if name.startswith(f"{PAGE}/")}


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

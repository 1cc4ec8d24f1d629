from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from phonobase.cli.app import cli
from tests.docs.cli_page import REMEDY, page
from tests.docs.pages import ROOT, blocks, text

PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
LINK = re.compile(r"\]\(([^)#:]+)\)")


def _calls(name: str) -> list[list[str]]:
    """Returns the words behind every ``phonobase`` in the shell commands of a page."""
    lines = "".join(block.code for block in blocks(name, "console")).splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    parts = [part for command in commands for part in re.split(r"[|)]|\$\(|&&", command)]
    return [words[1:] for part in parts if (words := _words(part))[:1] == ["phonobase"]]


def _words(part: str) -> list[str]:
    return shlex.split(part, comments=True) if part.count('"') % 2 == 0 else []


CALLS = [(name, words) for name in PAGES for words in _calls(name)]


def test_the_page_of_commands_is_what_they_say() -> None:
    """docs/cli.md is the help of every command, word for word."""
    assert text("docs/cli.md") == page(), f"bring it up to date with: {REMEDY}"


@pytest.mark.parametrize("path", re.findall(r"^## (phonobase.*)$", page(), re.MULTILINE))
def test_every_command_has_help(path: str) -> None:
    """``--help`` works everywhere, and needs neither a database nor a device."""
    done = CliRunner().invoke(cli, [*path.split()[1:], "--help"])

    assert (done.exit_code, done.output.startswith("Usage: ")) == (0, True)


@pytest.mark.parametrize(("name", "words"), CALLS, ids=lambda value: " ".join(value) if value else "none")
def test_every_command_that_is_shown_is_one(name: str, words: list[str]) -> None:
    """The commands and options that the pages show are taken by the program."""
    assert name
    command: click.Command = cli
    context = click.Context(cli, info_name="phonobase")
    while isinstance(command, click.Group):
        words = _rest(command, words)
        if command.invoke_without_command and not words:
            return
        assert words, f"{command.name} needs a command"
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]

    _rest(command, words)


def _rest(command: click.Command, words: list[str]) -> list[str]:
    """Returns the words behind a command's options; fails the test where one of these is unknown."""
    context = click.Context(command, allow_interspersed_args=not isinstance(command, click.Group))
    _, rest, _ = command.make_parser(context).parse_args(list(words))
    return rest


def test_the_readme_shows_the_commands_that_matter() -> None:
    """Whoever reads only the README knows how to record, find, get back and check."""
    shown = {words[0] for name, words in CALLS if name == "README.md"}

    assert {"record", "list", "show", "export", "verify", "db"} <= shown


@pytest.mark.parametrize("name", [*PAGES, "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    """A link to a file of the repository has one at its end."""
    for target in LINK.findall(text(name)):
        assert (ROOT / name).parent.joinpath(target).exists(), target

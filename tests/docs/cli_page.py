"""Prints docs/cli.md as it should be: python -m tests.docs.cli_page >docs/cli.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phonobase.cli.app import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "python -m tests.docs.cli_page >docs/cli.md"

_WIDTH = 100
_HEAD = f"""\
# The command line

What every command says of itself with `--help`.
How to use them is told by [use.md](use.md).

The result of a command goes to standard output, everything else to standard error.
The exit code is 0, or 1 where something failed, or 2 where the call was wrong,
or 130 where Ctrl-C or SIGTERM ended it.
An error is one line that begins with `phonobase: `; a wrong call shows the usage instead.

This page is made by `{REMEDY}`.
"""


def page() -> str:
    """Returns the page."""
    settings = {**cli.context_settings, "terminal_width": _WIDTH}
    root = click.Context(cli, info_name="phonobase", **settings)
    sections = (f"\n## {path}\n\n```text\n{text}\n```\n" for path, text in _helps(root))
    return _HEAD + "".join(sections)


def _helps(context: click.Context) -> Iterator[tuple[str, str]]:
    yield context.command_path, "\n".join(line.rstrip() for line in context.get_help().splitlines())
    if isinstance(context.command, click.Group):
        for name, command in sorted(context.command.commands.items()):
            yield from _helps(click.Context(command, context, name, terminal_width=_WIDTH))


if __name__ == "__main__":
    print(page(), end="")

"""The program, its commands, and how it fails: in one line, with an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click

from phonobase.cli import (
    annotate,
    coverage,
    dataset,
    db,
    devices,
    doctor,
    edit,
    events,
    exporting,
    follow,
    gaps,
    importing,
    listing,
    pause,
    play,
    push,
    record,
    recover,
    run,
    serve,
    show,
    status,
    tokens,
    verify,
)
from phonobase.cli.logs import configure_as_told, is_configured
from phonobase.cli.options import Settings, add_shared_options
from phonobase.errors import PhonobaseError

_INTERRUPTED = 130
_WIDTH = 100


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH})
@click.version_option(package_name="phonobase")
@click.pass_context
def cli(context: click.Context) -> None:
    """Record sound into a database and get it back, exactly.

    Where an ID is asked for, the last four or more of its digits do, or "last". Times are ISO 8601, local
    where they name no offset. Durations are seconds, or 90s, 15m, 1h.
    """
    context.ensure_object(Settings)


for command in (
    record.command,
    run.command,
    status.command,
    pause.pause,
    pause.resume,
    devices.command,
    doctor.command,
    importing.command,
    listing.command,
    show.command,
    edit.command,
    play.command,
    exporting.command,
    dataset.command,
    annotate.say,
    annotate.take_back,
    annotate.listing,
    follow.command,
    gaps.command,
    coverage.command,
    verify.command,
    recover.command,
    push.command,
    serve.command,
    tokens.command,
    events.command,
    db.command,
):
    cli.add_command(command)
add_shared_options(cli)


def main() -> None:
    """Run the program; this is its entry point."""
    settings = Settings()
    configure_as_told()
    # As Ctrl-C does: an import takes back what it began, an export its unfinished file.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli.main(prog_name="phonobase", obj=settings, standalone_mode=False)
    except click.exceptions.Abort:
        _fail("stopped", _INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has gone; say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except PhonobaseError as error:
        if settings.debug:
            raise
        _fail(str(error), 1)
    except Exception as error:
        if settings.debug:
            raise
        _fail(f"unexpected {type(error).__name__}: {error}; --debug shows where", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split())
    if is_configured():
        logging.getLogger("phonobase").error(line)
    else:
        click.echo(f"phonobase: {line}", err=True)
    sys.exit(code)

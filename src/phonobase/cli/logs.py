"""How the program logs, where somebody asked for it: ``--log-format``, or what a supervisor handed on."""

from __future__ import annotations

import logging
import os

import click

from phonobase.service.logs import FORMATS, configure

VARIABLE = "PHONOBASE_LOG_FORMAT"

QUIET = "quiet"
"""In that variable: a process that helps another says nothing itself."""

log_format_option = click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    help=f"How log lines look.  [env: {VARIABLE}; default: as the file says, else text]",
)


def configure_as_told() -> None:
    """Log as the environment says; where it says nothing, only warnings are shown, as Python does."""
    asked = os.environ.get(VARIABLE)
    if asked in FORMATS:
        configure(asked)
    elif asked == QUIET:
        logging.getLogger("phonobase").handlers[:] = [logging.NullHandler()]


def asked_format(given: str | None, otherwise: str) -> str:
    """Return the format that the option, the environment or else the service's file asks for."""
    known = (asked for asked in (given, os.environ.get(VARIABLE)) if asked in FORMATS)
    return next(known, None) or otherwise


def is_configured() -> bool:
    """Whether the program logs, so that what goes wrong belongs there too."""
    return bool(logging.getLogger("phonobase").handlers)

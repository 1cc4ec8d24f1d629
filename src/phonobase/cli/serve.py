"""``phonobase serve``."""

from __future__ import annotations

import click

from phonobase.cli.options import Settings, pass_settings
from phonobase.cli.output import note
from phonobase.errors import CannotServe
from phonobase.store.engine import shown

_LARGEST_PORT = 65_535


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, _LARGEST_PORT),
    default=8123,
    show_default=True,
    help="The port; 0: any that is free.",
)
@pass_settings
def command(settings: Settings, host: str, port: int) -> None:
    """Serve the archive over HTTP and as a page for browsers, until Ctrl-C or SIGTERM."""
    # Here, because it takes long to import and comes with an extra.
    try:
        from phonobase.web import create_app, server  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CannotServe(f"{error.name} is not installed; run: pip install 'phonobase[web]'") from error
    with settings.archive() as archive, server.listen(host, port) as listener:
        note(f"{shown(archive.engine)} is served at {server.address_of(listener)}; Ctrl-C ends it")
        server.run(create_app(archive), listener)

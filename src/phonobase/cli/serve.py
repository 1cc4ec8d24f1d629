"""``phonobase serve``."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import click

from phonobase.cli.logs import asked_format, log_format_option
from phonobase.cli.options import SIZE, Quantity, Settings, pass_settings
from phonobase.cli.output import note
from phonobase.errors import CannotServe
from phonobase.service.logs import TEXT, configure
from phonobase.store.engine import shown
from phonobase.store.tokens import all_tokens

if TYPE_CHECKING:
    from phonobase.store.archive import Archive

_LARGEST_PORT = 65_535


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"{text!r} is no address; write 127.0.0.1 or 10.0.0.0/8") from None


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, _LARGEST_PORT),
    default=8123,
    show_default=True,
    help="The port; 0: any that is free.",
)
@click.option(
    "--require-token",
    is_flag=True,
    help="Let in only who shows a token, here too; so it is at every address but this machine's own.",
)
@click.option(
    "--forwarded-from",
    type=Quantity("address", _network),
    multiple=True,
    help="A proxy that is believed for whom it asks, by address; may be given again. Needs tokens.",
)
@click.option(
    "--requests-per-minute", type=click.IntRange(1), help="How often somebody may ask.  [default: 30000]"
)
@click.option(
    "--connections", type=click.IntRange(1), help="How many are open at once, at most.  [default: 1000]"
)
@click.option("--upload-size", type=SIZE, help="The largest file that is taken.  [default: 1GiB]")
@log_format_option
@pass_settings
def command(
    settings: Settings,
    host: str,
    port: int,
    *,
    require_token: bool,
    forwarded_from: tuple[str, ...],
    requests_per_minute: int | None,
    connections: int | None,
    upload_size: int | None,
    log_format: str | None,
) -> None:
    """Serve the archive over HTTP and as a page for browsers, until Ctrl-C or SIGTERM.

    At an address of this machine alone, nobody has to say who they are. docs/operate.md tells of tokens, of
    proxies, and of the log of access.
    """
    # Here, because it takes long to import and comes with an extra.
    try:
        from phonobase.web import Limits, create_app, server  # noqa: PLC0415
        from phonobase.web.tokens import Tokens  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CannotServe(f"{error.name} is not installed; run: pip install 'phonobase[web]'") from error
    given = {
        "requests_per_minute": requests_per_minute,
        "connections": connections,
        "upload_bytes": upload_size,
    }
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    with settings.archive() as archive, server.listen(host, port) as listener:
        here = ip_address(listener.getsockname()[0]).is_loopback
        open_here = here and not require_token and not forwarded_from
        if not open_here:
            _check_tokens(archive)
        configure(asked_format(log_format, TEXT))
        app = create_app(archive, authenticate=Tokens(archive, open_here=open_here), limits=limits)
        note(f"{shown(archive.engine)} is served at {server.address_of(listener)}; Ctrl-C ends it")
        server.run(app, listener, connections=limits.connections, forwarded_from=forwarded_from)


def _check_tokens(archive: Archive) -> None:
    now = datetime.now(UTC)
    if not any(token.flaw(now) is None for token in all_tokens(archive)):
        raise CannotServe(
            "only who shows a token is let in, and there is none; make one with: "
            "phonobase tokens create NAME --scope read"
        )

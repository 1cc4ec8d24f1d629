"""``phonobase push``."""

from __future__ import annotations

import os
import signal
import stat
import threading
from contextlib import closing
from fractions import Fraction

import click

from phonobase.cli.logs import configure_as_told
from phonobase.cli.options import DURATION_OR_NONE, Settings, pass_settings
from phonobase.cli.output import counted, note, progress_bar, size
from phonobase.errors import PhonobaseError
from phonobase.recorder.forward import Forwarder, Pace
from phonobase.recorder.local import local_file
from phonobase.recorder.spool import Spools, needs_spool, open_spool
from phonobase.recorder.state import StateFolder
from phonobase.store.archive import Archive
from phonobase.store.push import extents, push


@click.command("push")
@click.argument("url", envvar="PHONOBASE_PUSH_TO", metavar="URL")
@click.option("--follow", is_flag=True, help="Go on: forward what is recorded, and make room here.")
@click.option(
    "--grace",
    type=DURATION_OR_NONE,
    default=Fraction(3600),
    show_default="1h",
    help="With --follow: how long what was forwarded stays here.",
)
@pass_settings
def command(settings: Settings, url: str, *, follow: bool, grace: Fraction) -> None:
    """Copy everything into another archive that it has not: recordings, gaps and sources.

    It may be stopped and repeated at any time: what is there is not sent again, and nothing there is
    overwritten. Recordings of which the archive holds other sound, or that are not as they were recorded,
    are named; the others are pushed, and the exit code is 1. What was deleted there is not sent again.

    With --follow what is recorded here is forwarded within a second, for as long as nobody stops it, and
    what the archive has had for the grace time leaves this file.  [env: PHONOBASE_PUSH_TO names the URL]
    """
    if follow:
        _follow(settings, url, float(grace))
        return
    with settings.archive() as ours, Archive(url) as theirs:
        total = sum(extent.byte_count for extent in extents(ours).values())
        with progress_bar("pushing", total) as done:
            pushed = push(ours, theirs, done)
    if pushed.deleted:
        note(f"{counted(pushed.deleted, 'recording')} left out: deleted there")
    note(
        f"pushed {counted(pushed.recordings, 'recording')}, {size(pushed.bytes)}; "
        f"{pushed.already} were there already"
    )
    if len(pushed.failed) == 1:
        raise pushed.failed[0]
    for error in pushed.failed:
        note(f"phonobase: {error}")
    if pushed.failed:
        raise PhonobaseError(f"{len(pushed.failed)} were not pushed; see above")


def _follow(settings: Settings, url: str, grace_s: float) -> None:
    if needs_spool(settings.db):
        raise click.UsageError("--follow forwards an SQLite file; name that with --db")
    configure_as_told()
    path = local_file(settings.db)
    open_spool(path).close()  # made, or brought up to date
    with closing(Spools(path)) as spools:
        forwarder = Forwarder(spools, url, StateFolder(path), Pace(grace_s=grace_s))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: forwarder.stop())
        _stop_with_parent(forwarder)
        forwarder.run()


def _stop_with_parent(forwarder: Forwarder) -> None:
    """Stop when the other end of standard input is closed, where that is a pipe."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:  # there is none
        return
    if not is_pipe:
        return

    def wait() -> None:
        while os.read(0, 1):
            pass
        forwarder.stop()

    threading.Thread(target=wait, name="phonobase-parent", daemon=True).start()

"""``phonobase run``."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonobase.capture.clock import SYSTEM_CLOCK
from phonobase.cli.logs import asked_format, log_format_option
from phonobase.cli.options import pass_settings
from phonobase.cli.output import counted
from phonobase.cli.stopping import on_signals
from phonobase.recorder.every import every
from phonobase.recorder.inputs import open_input
from phonobase.recorder.live import LiveRecorder
from phonobase.recorder.local import local_archive, local_file
from phonobase.recorder.spool import needs_spool
from phonobase.recorder.state import StateFolder
from phonobase.service.child import SUPERVISED
from phonobase.service.config import read_service
from phonobase.service.heartbeat import Heartbeat
from phonobase.service.logs import configure
from phonobase.service.notify import Notifier
from phonobase.service.sources import Detector

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from phonobase.cli.options import Settings
    from phonobase.service.config import Service
    from phonobase.service.sources import ServiceInput

_BEAT_S = 1.0
_log = logging.getLogger("phonobase.service")


@click.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--only", metavar="SOURCE", help="Record only this source, in this process; forward nothing.")
@click.option("--check", is_flag=True, help="Only say whether the file is right.")
@log_format_option
@pass_settings
def command(settings: Settings, file: Path, only: str | None, *, check: bool, log_format: str | None) -> None:
    """Run a service: every source that a file in TOML names, for years.

    Each input is recorded by a process of its own, and one more forwards to an archive on a server. What
    ends is started again. SIGTERM and Ctrl-C end everything cleanly. docs/operate.md describes the file.
    """
    service = read_service(file, settings.db)
    if check:
        _check(service)
        return
    log_format = asked_format(log_format, service.log_format)
    configure(log_format)
    if only is None:
        _supervise(service, log_format)
    else:
        _record(service, service.only(only))


def _check(service: Service) -> None:
    for input_ in service.inputs:
        _load_detectors(input_)
    sources = counted(len(service.source_names), "source")
    click.echo(f"{service.path} is right: {sources} from {counted(len(service.inputs), 'input')}")


def _supervise(service: Service, log_format: str) -> None:
    # Here, because a recorder, which starts often and must start fast, has no need of it.
    from phonobase.service.supervisor import Supervisor  # noqa: PLC0415

    local = local_file(service.archive, service.spool)
    with local_archive(service.archive, service.spool):
        pass  # what is wrong with it is told once, here
    state = StateFolder(local)
    supervisor = Supervisor(
        service,
        local,
        state,
        forwarding=needs_spool(service.archive),
        log_format=log_format,
    )
    with state.lock_service(service.path), on_signals(lambda _again: supervisor.stop()):
        supervisor.run()


def _record(service: Service, input_: ServiceInput) -> None:
    """Record one input, until somebody wants it to end or its supervisor dies."""
    _load_detectors(input_)
    with local_archive(service.archive, service.spool) as (archive, state):
        recorder = LiveRecorder(
            archive,
            state,
            input_.sources,
            lambda: open_input(input_.input),
            floor_bytes=service.floor_bytes,
        )

        def stop(again: bool) -> None:
            # A supervisor that waits has patience of its own; a person at a terminal may have none.
            if again and SUPERVISED not in os.environ:
                raise KeyboardInterrupt
            recorder.stop()

        _watch_supervisor(recorder.stop)
        with on_signals(stop), _telling_systemd(state, input_):
            recorder.run()


def _telling_systemd(state: StateFolder, input_: ServiceInput) -> AbstractContextManager[None]:
    """Tell systemd how recording does, where systemd started this process itself."""
    notifier = Notifier()
    if not notifier.is_heard:
        return contextlib.nullcontext()
    names = [source.name for source in input_.sources]
    return every(_BEAT_S, Heartbeat(state, names, SYSTEM_CLOCK, notifier).beat, "phonobase-systemd")


def _load_detectors(input_: ServiceInput) -> None:
    """Import what the sources detect sound with now, and not when the first sound has come."""
    for source in input_.sources:
        if source.trigger is not None and isinstance(source.trigger.detector, Detector):
            source.trigger.detector.load()


def _watch_supervisor(stop: Callable[[], None]) -> None:
    """Stop when the supervisor dies: then the pipe ends that is our standard input."""
    if SUPERVISED not in os.environ or not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def wait() -> None:
        while os.read(0, 1):
            pass
        _log.warning("the supervisor is gone, so this ends too")
        stop()

    threading.Thread(target=wait, name="phonobase-supervisor", daemon=True).start()

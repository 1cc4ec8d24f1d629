from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from phonobase.recorder.state import StateFolder
from phonobase.service.heartbeat import READY_AFTER_S, Heartbeat
from phonobase.service.notify import Notifier
from tests.service.statuses import NOW_US, SECOND_US, forwarding, said
from tests.support.clock import SetClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Systemd:
    """The end of the socket that systemd listens at."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0)

    def told(self) -> list[str]:
        """Returns what was said since it was asked last."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(65_536).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        """Listens no more."""
        self._socket.close()


@pytest.fixture(params=["file", "name"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    """Systemd, at a socket with a path, and at one in Linux's own name space."""
    address = str(tmp_path / "notify") if request.param == "file" else f"@phonobase-test-{os.getpid()}"
    listening = Systemd(address)
    yield listening
    listening.close()


class Service:
    """A heartbeat, and the recorders that it listens to."""

    def __init__(self, folder: Path, systemd: Systemd, *sources: str, forwarding: bool = False) -> None:
        self.clock = SetClock(NOW_US)
        self.state = StateFolder(folder / "spool.db")
        self.seconds = 0.0
        self._systemd = systemd
        self._heartbeat = Heartbeat(
            self.state,
            sources,
            self.clock,
            Notifier({"NOTIFY_SOCKET": systemd.address}),
            forwarding=forwarding,
            monotonic=lambda: self.seconds,
        )

    def say(self, source: str, frames: int, state: str = "recording") -> None:
        """Has a recorder say how many frames it heard."""
        now_us = self.clock.now_us
        self.state.say(
            said(
                source,
                state=state,
                frames_heard=frames,
                started_us=NOW_US,
                updated_us=now_us,
                heard_until_us=now_us,
            )
        )

    def beat(self) -> list[str]:
        """Lets a second pass and returns what systemd was told in it, but for the line about how it is."""
        self.clock.pass_us(SECOND_US)
        self.seconds += 1
        self._heartbeat.beat()
        return [line for line in self._systemd.told() if not line.startswith("STATUS=")]


def test_ready_when_every_source_spoke(tmp_path: Path, systemd: Systemd) -> None:
    """The service is ready when each of its recorders has said something, and says so once."""
    service = Service(tmp_path, systemd, "a", "b")

    assert service.beat() == []
    service.say("a", 0)
    assert service.beat() == []
    service.say("b", 0)
    assert service.beat() == ["READY=1"]
    assert service.beat() == []


def test_one_dead_source_does_not_keep_the_service_from_being_ready(tmp_path: Path, systemd: Systemd) -> None:
    """A source that never speaks must not let systemd end the others."""
    service = Service(tmp_path, systemd, "a", "b")
    service.say("a", 0)

    told = [service.beat() for _ in range(int(READY_AFTER_S))]

    assert told == [*([[]] * (len(told) - 1)), ["READY=1"]]


def test_alive_only_while_frames_arrive(tmp_path: Path, systemd: Systemd) -> None:
    """Statuses that are written, by processes that live, are no sign of life; frames are."""
    service = Service(tmp_path, systemd, "a")
    told = []
    for frames in (0, 48_000, 96_000, 96_000, 96_000, 97_000):
        service.say("a", frames)
        told.append("WATCHDOG=1" in service.beat())

    assert told == [False, True, True, False, False, True]


def test_one_source_that_hears_keeps_the_service_alive(tmp_path: Path, systemd: Systemd) -> None:
    """A lost device among others does not let systemd restart those, whose sound that would cost."""
    service = Service(tmp_path, systemd, "lost", "good")
    for frames in (1_000, 2_000):
        service.say("lost", 500, "device-lost")
        service.say("good", frames)
        assert "WATCHDOG=1" in service.beat()


def test_a_service_that_is_paused_is_alive(tmp_path: Path, systemd: Systemd) -> None:
    """Where nothing is to be heard, nothing that is heard is no fault."""
    service = Service(tmp_path, systemd, "a")
    for _ in range(3):
        service.say("a", 500, "paused")
        assert "WATCHDOG=1" in service.beat()


def test_what_was_said_before_is_no_sign_of_life(tmp_path: Path, systemd: Systemd) -> None:
    """The last words of the recorders before a restart count for nothing."""
    Service(tmp_path, systemd, "a").say("a", 96_000)
    service = Service(tmp_path, systemd, "a")

    assert "WATCHDOG=1" not in service.beat()


def test_frames_count_while_the_disk_is_full(tmp_path: Path, systemd: Systemd) -> None:
    """A restart makes no room, so a full disk is no reason for one."""
    service = Service(tmp_path, systemd, "a")
    for frames in (1_000, 2_000):
        service.say("a", frames, "disk-full")
        assert "WATCHDOG=1" in service.beat()


def test_the_status_line(tmp_path: Path, systemd: Systemd) -> None:
    """`systemctl status` shows in one line how many sources are well, what is wrong, and the backlog."""
    heartbeat = Heartbeat(
        StateFolder(tmp_path / "spool.db"),
        ["a", "b"],
        SetClock(NOW_US),
        Notifier({"NOTIFY_SOCKET": systemd.address}),
        forwarding=True,
    )
    state = StateFolder(tmp_path / "spool.db")
    state.say(said("a"))
    state.say(said("b", state="device-lost", detail="gone\nREADY=1"))
    state.say_forwarder(forwarding(backlog_us=75 * SECOND_US))

    heartbeat.beat()

    (line,) = (line for line in systemd.told() if line.startswith("STATUS="))
    assert line == (
        "STATUS=1 of 2 sources are well; b: device-lost for 3600 s: gone READY=1; 75 s to forward"
    )


def test_the_environment_is_not_handed_on() -> None:
    """Processes that the service starts cannot speak in its name."""
    environment = {
        "NOTIFY_SOCKET": "@x",
        "WATCHDOG_USEC": "2000000",
        "WATCHDOG_PID": str(os.getpid()),
        "A": "b",
    }

    assert Notifier(environment).watchdog_s == 2.0
    assert environment == {"A": "b"}


def test_a_watchdog_for_another_process() -> None:
    """A watchdog that is meant for another process is not ours."""
    assert Notifier({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}).watchdog_s is None


def test_nobody_listens(tmp_path: Path) -> None:
    """Without systemd, or with its socket gone, the service goes on."""
    Notifier({}).say(READY=1)
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).say(READY=1)

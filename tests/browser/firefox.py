"""Firefox as it is installed, driven by WebDriver BiDi."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

_PATIENCE_S = 60
_LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
_EVENTS = ["log.entryAdded", "network.beforeRequestSent", "network.responseCompleted"]
_SETTINGS = 'user_pref("media.autoplay.default", 0);\n'
"""Sound is played although nobody asked for it: here nobody can ask."""

_IN_TIME = """
Promise.race([
  {call},
  new Promise((_, fail) => {{ setTimeout(() => fail(new Error("it takes too long")), 20000); }}),
]).then(JSON.stringify)
"""


class Firefox:
    """A Firefox that does what it is told.

    Args:
        socket: The way to it.

    Attributes:
        events: What it has told since, in order.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = socket
        self._calls = 0
        self.call("session.new", capabilities={})
        self._context = self.call("browsingContext.getTree")["contexts"][0]["context"]
        self.call("session.subscribe", events=_EVENTS)

    def open(self, url: str) -> None:
        """Loads a page."""
        self.call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def ask(self, program: str, *arguments: str) -> Any:  # noqa: ANN401 - whatever the program returns
        """Runs a function in the page and returns, as JSON carries it, what it gives in the end."""
        given = ", ".join(map(json.dumps, arguments))
        told = self.call(
            "script.evaluate",
            expression=_IN_TIME.format(call=f"({program})({given})"),
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert told["type"] == "success", told["exceptionDetails"]["text"]
        return json.loads(told["result"]["value"])

    def complaints(self) -> list[str]:
        """Returns what stood in the console as an error or a warning."""
        told = [event["params"] for event in self.events if event["method"] == "log.entryAdded"]
        return [entry["text"] for entry in told if entry["level"] in ("error", "warn")]

    def asked(self) -> set[str]:
        """Returns the addresses that were asked for."""
        told = [event for event in self.events if event["method"] == "network.beforeRequestSent"]
        return {event["params"]["request"]["url"] for event in told}

    def ranges(self, part: str) -> list[str]:
        """Returns the ranges that came back as such for addresses with ``part`` in them."""
        told = [event["params"] for event in self.events if event["method"] == "network.responseCompleted"]
        found = [each["response"] for each in told if part in each["request"]["url"]]
        return [
            header["value"]["value"]
            for response in found
            if response["status"] == 206
            for header in response["headers"]
            if header["name"].lower() == "content-range"
        ]

    def call(self, method: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - as the protocol has it
        """Has it do something, and returns what came of it."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            told: dict[str, Any] = json.loads(self._socket.recv(timeout=_PATIENCE_S))
            if told["type"] == "event":
                self.events.append(told)
            elif told.get("id") == self._calls:
                assert told["type"] == "success", f"{told['error']}: {told['message']}"
                result: dict[str, Any] = told["result"]
                return result


@contextlib.contextmanager
def started() -> Iterator[Firefox]:
    """Starts a Firefox of the test's own, without a window and with nothing in it, and ends it."""
    with (
        tempfile.TemporaryDirectory(prefix="phonobase-firefox-", ignore_cleanup_errors=True) as profile,
        _process(profile) as process,
        connect(f"{_address(process)}/session", max_size=None, proxy=None) as socket,
    ):
        firefox = Firefox(socket)
        yield firefox
        firefox.call("browser.close")


@contextlib.contextmanager
def _process(profile: str) -> Iterator[subprocess.Popen[str]]:
    Path(profile, "user.js").write_text(_SETTINGS, encoding="utf-8")
    command = [require("firefox-esr"), "--headless", "--remote-debugging-port=0", "--profile", profile]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
            process.wait(_PATIENCE_S)
        except BaseException:
            process.kill()
            raise


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if found := _LISTENING.search(line):
            return found[1]
        said.append(line)
    raise AssertionError(f"Firefox does not start:\n{''.join(said)}")

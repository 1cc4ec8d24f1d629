"""A browser that is watched: what it complains of, whom it calls, and what it fetched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-audio-output",  # a loudspeaker at the sound server would make what records there wait
)

_OURS = "ScriptProcessorNode is deprecated"
"""What Chromium says of how the tests listen; anything newer would be a file that the page does not serve."""


@dataclass(frozen=True)
class Answer:
    """What came back for a request.

    Attributes:
        url: What was asked for.
        status: The status of the answer.
        headers: Its headers, with names in small letters.
    """

    url: str
    status: int
    headers: dict[str, str]


@dataclass
class Watch:
    """What a browser did while a test ran.

    Attributes:
        address: The only host it may call.
        complaints: What it said in the console, and what failed in the page.
        foreign: What it asked of other hosts.
        answers: What came back, in order.
        expected: Words of complaints that the test provokes.
        tolerated: Words of complaints that may come of what the test does, or not.
    """

    address: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watches everything that is done in a context."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)

    def ranges(self, part: str) -> list[str]:
        """Returns the ranges that came back as such for addresses with ``part`` in them."""
        found = [answer for answer in self.answers if part in answer.url and answer.status == 206]
        return [answer.headers["content-range"] for answer in found]

    def assert_quiet(self) -> None:
        """Fails where the browser complained, or called another host."""
        known = [*self.expected, *self.tolerated]
        unexpected = [text for text in self.complaints if not any(word in text for word in known)]
        assert not unexpected, unexpected
        assert not self.foreign, self.foreign
        unheard = [word for word in self.expected if not any(word in text for text in self.complaints)]
        assert not unheard, unheard

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _OURS not in message.text:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"page: {error.error}")

    def _request(self, request: Request) -> None:
        own = (f"{self.address}/", "data:", f"blob:{self.address}/")
        if not request.url.startswith(own):
            self.foreign.append(request.url)

    def _response(self, response: Response) -> None:
        self.answers.append(Answer(response.url, response.status, response.headers))

"""What an application serves, and how it was told to: the same for every request."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import FastAPI, Request

from phonobase.store.archive import Archive
from phonobase.web.listening import Listening
from phonobase.web.news import News
from phonobase.web.room import Most, Room
from phonobase.web.turns import Turns
from phonobase.web.visitor import Authenticate, nobody_else

_PATIENCE_S = 5.0
"""How long somebody waits whose turn it is not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one visitor may ask for, so that all others get theirs.

    Attributes:
        upload_bytes: Largest file that is taken.
        upload_seconds: Longest sound that a file may hold; no recording is longer than a day.
        upload_pcm_bytes: Most that a file may be, decoded; 24 hours of 48 kHz, stereo, 16 bits fit.
        upload_decode_seconds: How long it may take to decode a file.
        uploads_at_once: How many files may come and be stored at the same time.
        cut_seconds: Longest stretch of time that is cut in one request.
        cuts_at_once: How many cuts are made at the same time.
        cut_files: How many files of cuts are being sent to one visitor at the same time.
        cut_bytes: How long they are all together before no other is made.
        cut_files_of_all: The same, to all visitors.
        cut_bytes_of_all: The same, to all visitors.
        body_bytes: Longest body of a request that brings no sound.
        stalled_seconds: How long the rest of a request, or room for more of an answer, is waited for.
        requests_per_minute: How often somebody may ask.
        heavy_requests_per_minute: How often for what is made first: stretches of time, spectrograms.
        requests_at_once: How many of somebody's requests are answered at the same time, those among them
            that go on for hours.
        refused_per_minute: How often those at one address may ask of whom nobody knows who they are.
        connections: How many connections are open in all.
    """

    upload_bytes: int = 1024**3
    upload_seconds: int = 86_400
    upload_pcm_bytes: int = 16 * 1024**3
    upload_decode_seconds: int = 600
    uploads_at_once: int = 4
    cut_seconds: int = 86_400
    cuts_at_once: int = 2
    cut_files: int = 8
    cut_bytes: int = 4 * 1024**3
    cut_files_of_all: int = 32
    cut_bytes_of_all: int = 16 * 1024**3
    body_bytes: int = 1024**2
    stalled_seconds: int = 120
    requests_per_minute: int = 30_000
    heavy_requests_per_minute: int = 1_200
    requests_at_once: int = 400
    refused_per_minute: int = 60
    connections: int = 1_000


@dataclass(frozen=True, slots=True)
class Site:
    """What is served.

    Attributes:
        archive: The recordings.
        authenticate: Who asks.
        limits: How much they may ask for.
        listening: Who listens to what is being recorded.
        news: Who is told what is being heard.
        painting: Whose turn it is to have a spectrogram made.
        cutting: Whose turn it is to have a cut made.
        room: For cuts on their way.
    """

    archive: Archive
    authenticate: Authenticate = nobody_else
    limits: Limits = field(default_factory=Limits)
    listening: Listening = field(init=False)
    news: News = field(init=False)
    painting: Turns = field(init=False)
    cutting: Turns = field(init=False)
    room: Room = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "listening", Listening(self.archive))
        object.__setattr__(self, "news", News(self.archive))
        # One: whoever records on this machine needs its processors more.
        object.__setattr__(self, "painting", Turns(1, _PATIENCE_S))
        object.__setattr__(self, "cutting", Turns(self.limits.cuts_at_once, _PATIENCE_S))
        each = Most(self.limits.cut_files, self.limits.cut_bytes)
        room = Room(each, Most(self.limits.cut_files_of_all, self.limits.cut_bytes_of_all))
        object.__setattr__(self, "room", room)


def site_of(request: Request) -> Site:
    """Return what the application serves that a request came to."""
    app: FastAPI = request.app
    site: Site = app.state.site
    return site

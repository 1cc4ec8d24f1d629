"""What the service does, as Prometheus reads it."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonobase.store.archive import Archive
from phonobase.store.current import list_current
from phonobase.web.problems import Refused, answers
from phonobase.web.routed import operation
from phonobase.web.visit import Administering

router = APIRouter(tags=["service"])

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_OTHER = "unknown"


class Metrics:
    """Counts what is asked and answered since the process began.

    Args:
        archive: Whose open recordings are counted, when somebody looks.
    """

    def __init__(self, archive: Archive) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "phonobase_http_requests",
            "Requests that were answered.",
            ["action", "status"],
            registry=self.registry,
        )
        self.first_byte = Histogram(
            "phonobase_http_first_byte_seconds",
            "From a request to the first byte of its answer's body.",
            ["action"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.sent = Counter(
            "phonobase_http_sent_bytes", "Bytes of bodies that were sent.", ["action"], registry=self.registry
        )
        self.in_progress = Gauge(
            "phonobase_http_requests_in_progress",
            "Requests whose answer is not complete, listeners among them.",
            registry=self.registry,
        )
        Gauge(
            "phonobase_recordings_open", "Recordings that are not closed.", registry=self.registry
        ).set_function(lambda: _open_recordings(archive))


class Measured:
    """Counts every request that an application answers.

    Args:
        app: What answers.
        metrics: What counts.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, has_begun = time.perf_counter(), False

        async def counted(message: Message) -> None:
            nonlocal has_begun
            await send(message)
            action = operation(scope) or _OTHER
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(action, message["status"]).inc()
            elif message["type"] == "http.response.body":
                if not has_begun:
                    has_begun = True
                    self._metrics.first_byte.labels(action).observe(time.perf_counter() - began)
                self._metrics.sent.labels(action).inc(len(message.get("body", b"")))

        with self._metrics.in_progress.track_inprogress():
            await self._app(scope, receive, counted)


_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Metrics in Prometheus's text format",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/metrics", response_class=Response, responses=_TEXT | answers())
def get_metrics(request: Request, visit: Administering) -> Response:
    """Count what this process answered: requests, seconds to the first byte, bytes, and open recordings.

    They are of all sources, so nobody is given them who may know of some only.
    """
    if visit.visitor.sources is not None:
        raise Refused(f"metrics are of all sources, and {visit.visitor.name} may not know of all")
    app: FastAPI = request.app
    metrics: Metrics = app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _open_recordings(archive: Archive) -> int:
    with archive.session() as session:
        return len(list_current(session))

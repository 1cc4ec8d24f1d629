"""How recorders are doing, as Prometheus reads it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from phonobase.errors import RecorderError
from phonobase.service.health import examine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from prometheus_client import Metric

    from phonobase.capture.clock import Clock
    from phonobase.recorder.state import SourceStatus, StateFolder
    from phonobase.service.health import ForwarderHealth, Health, SourceHealth

_US = 1e-6


class RecorderMetrics(Collector):
    """What the recorders of a folder say, asked anew at each collection.

    Args:
        state: The folder.
        clock: The time.
        expected: Sources that must be recorded, as for ``examine``.
        forwarding: Whether a forwarder must be there.
        restarts: Counts how often the process of each input was started again; where nobody does, None.
    """

    def __init__(
        self,
        state: StateFolder,
        clock: Clock,
        *,
        expected: Sequence[str] = (),
        forwarding: bool = False,
        restarts: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._expected = expected
        self._forwarding = forwarding
        self._restarts = restarts
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        health = examine(
            self._state, self._clock.wall_us(), expected=self._expected, forwarding=self._forwarding
        )
        yield from _of_sources(health.sources)
        if health.forwarder is not None:
            yield from _of_forwarder(health.forwarder)
        yield from _of_disk(health)
        if self._restarts is not None:
            name, help_ = "phonobase_restarts", "How often the process was started again."
            restarts = CounterMetricFamily(name, help_, labels=["process"])
            for process, count in self._restarts().items():
                restarts.add_metric([process], count)
            yield restarts

    def text(self) -> str:
        """Return all of them in Prometheus's text format."""
        return generate_latest(self._registry).decode()

    def serve(self, host: str, port: int) -> None:
        """Serve them over HTTP, in a thread, for as long as the process lives.

        Raises:
            RecorderError: The address cannot be had.
        """
        try:
            start_http_server(port, host, self._registry)
        except OSError as error:
            raise RecorderError(f"no metrics at {host}:{port}: {error}; name another address") from error

    def write(self, path: Path) -> None:
        """Replace a text file with them, whole.

        Raises:
            RecorderError: It cannot be written.
        """
        try:
            write_to_textfile(str(path), self._registry)
        except OSError as error:
            raise RecorderError(f"no metrics in {path}: {error}; make room, or name another file") from error


def _of_sources(sources: Sequence[SourceHealth]) -> Iterator[Metric]:
    well = _gauge("well", "1 where the source is recorded as it should be.")
    states = _gauge("state", "1 for the state that the source is in.", "state")
    paused = _gauge("paused", "1 where somebody asked for the source not to be heard.")
    for source in sources:
        well.add_metric([source.source], not source.problems)
        states.add_metric([source.source, source.state], 1)
        paused.add_metric([source.source], source.pause is not None)
    yield from (well, states, paused)
    said = [source.status for source in sources if source.status is not None]
    for kind, name, help_, value in _NUMBERS:
        family = kind(f"phonobase_source_{name}", help_, labels=["source"])
        for status in said:
            number = value(status)
            if number is not None:
                family.add_metric([status.source], number)
        yield family


def _of_forwarder(forwarder: ForwarderHealth) -> Iterator[Metric]:
    yield GaugeMetricFamily("phonobase_forwarder_well", "1 where forwarding works.", not forwarder.problems)
    status = forwarder.status
    if status is None:
        return
    for name, help_, value in (
        ("backlog_seconds", "Sound that the archive does not have yet.", status.backlog_us * _US),
        ("backlog_bytes", "Its size.", status.backlog_bytes),
        ("conflicts", "Recordings that the archive holds otherwise.", len(status.conflicts)),
        ("updated_timestamp_seconds", "When the forwarder said this.", status.updated_us * _US),
        ("waiting", "1 while the archive cannot be reached.", status.state == "waiting"),
    ):
        yield GaugeMetricFamily(f"phonobase_forwarder_{name}", help_, value)
    if status.forwarded_us is not None:
        name, help_ = (
            "phonobase_forwarder_forwarded_timestamp_seconds",
            "When the archive last took something.",
        )
        yield GaugeMetricFamily(name, help_, status.forwarded_us * _US)


def _of_disk(health: Health) -> Iterator[Metric]:
    if health.free_bytes is not None:
        yield GaugeMetricFamily("phonobase_disk_free_bytes", "Room above the floor.", health.free_bytes)
    if health.hours_left is not None:
        help_ = "Until that room is used up, at the pace so far."
        yield GaugeMetricFamily("phonobase_disk_left_seconds", help_, health.hours_left * 3600)


def _gauge(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"phonobase_source_{name}", help_, labels=["source", *labels])


def _level(status: SourceStatus, dbfs: float | None) -> float | None:
    """Return a level; digital silence has one here, minus infinity."""
    return -math.inf if dbfs is None and status.zeros_since_us is not None else dbfs


def _moment(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds * _US


_NUMBERS: tuple[
    tuple[
        type[GaugeMetricFamily | CounterMetricFamily],
        str,
        str,
        Callable[[SourceStatus], float | None],
    ],
    ...,
] = (
    (CounterMetricFamily, "frames", "Frames that arrived.", lambda said: said.frames_heard),
    (CounterMetricFamily, "committed_bytes", "Bytes that were committed.", lambda said: said.committed_bytes),
    (CounterMetricFamily, "gaps", "Gaps that were listed.", lambda said: said.gaps),
    (GaugeMetricFamily, "peak_dbfs", "Peak of the last second.", lambda said: _level(said, said.peak_dbfs)),
    (GaugeMetricFamily, "rms_dbfs", "RMS of the last second.", lambda said: _level(said, said.rms_dbfs)),
    (GaugeMetricFamily, "drift_ppm", "Sample clock; positive is fast.", lambda said: said.drift_ppm),
    (
        GaugeMetricFamily,
        "digital_silence_seconds",
        "For how long there were only zeros.",
        lambda said: (said.updated_us - (said.zeros_since_us or said.updated_us)) * _US,
    ),
    (
        GaugeMetricFamily,
        "heard_timestamp_seconds",
        "When the last frame was heard.",
        lambda said: _moment(said.heard_until_us),
    ),
    (
        GaugeMetricFamily,
        "committed_timestamp_seconds",
        "When something was committed last.",
        lambda said: _moment(said.committed_us),
    ),
    (
        GaugeMetricFamily,
        "started_timestamp_seconds",
        "When the recorder started.",
        lambda said: _moment(said.started_us),
    ),
    (
        GaugeMetricFamily,
        "updated_timestamp_seconds",
        "When the recorder said this.",
        lambda said: _moment(said.updated_us),
    ),
)

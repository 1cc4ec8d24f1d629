from __future__ import annotations

import math
import re
import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from phonobase.errors import RecorderError
from phonobase.recorder.state import Pause, StateFolder
from phonobase.service.metrics import RecorderMetrics
from tests.docs.pages import blocks, text
from tests.service.statuses import NOW_US, SECOND_US, forwarding, said
from tests.support.clock import SetClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Two recorders, one of them deaf and paused, and a forwarder."""
    state = StateFolder(tmp_path / "spool.db")
    state.say(said('a "quoted" name', drift_ppm=12.5, gaps=3))
    state.say(said("b", state="device-lost", peak_dbfs=None, zeros_since_us=NOW_US - 90 * SECOND_US))
    state.pause(Pause("b", "card", NOW_US))
    state.say_forwarder(forwarding(conflicts=["x"]))
    return state


def _values(text: str) -> dict[tuple[str, str | None], float]:
    """Returns each metric's value by its name and source."""
    return {
        (sample.name, sample.labels.get("source")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_prometheus_reads(state: StateFolder) -> None:
    """Every fact that an alarm may be built on is there, in seconds and bytes."""
    values = _values(RecorderMetrics(state, SetClock(NOW_US), restarts=lambda: {"a": 2}).text())

    a = 'a "quoted" name'
    assert values["phonobase_source_well", a] == 1
    assert values["phonobase_source_well", "b"] == 0
    assert values["phonobase_source_paused", "b"] == 1
    assert values["phonobase_source_frames_total", a] == 48_000 * 3_600
    assert values["phonobase_source_gaps_total", a] == 3
    assert values["phonobase_source_peak_dbfs", a] == -12.5
    assert values["phonobase_source_peak_dbfs", "b"] == -math.inf
    assert values["phonobase_source_drift_ppm", a] == 12.5
    assert ("phonobase_source_drift_ppm", "b") not in values
    assert values["phonobase_source_digital_silence_seconds", "b"] == pytest.approx(89.5)
    assert values["phonobase_source_heard_timestamp_seconds", a] == pytest.approx(NOW_US / 1e6 - 1)
    assert values["phonobase_source_committed_bytes_total", a] == 100_000_000
    assert values["phonobase_forwarder_backlog_seconds", None] == 2
    assert values["phonobase_forwarder_backlog_bytes", None] == 100_000
    assert values["phonobase_forwarder_conflicts", None] == 1
    assert values["phonobase_forwarder_well", None] == 0
    assert values["phonobase_disk_free_bytes", None] == 2_000_000_000
    assert values["phonobase_restarts_total", None] == 2


def test_the_metrics_that_are_documented(state: StateFolder) -> None:
    """Every metric has its name in the page on operating, and every name in its alarms is a metric."""
    metrics = RecorderMetrics(state, SetClock(NOW_US), restarts=lambda: {"a": 2})
    names = {name for name, _ in _values(metrics.text())}
    alarms = "".join(block.code for block in blocks("docs/operate.md", "yaml"))
    page = text("docs/operate.md")

    assert set(re.findall(r"phonobase_\w+", alarms)) <= names
    for name in names - set(re.findall(r"phonobase_\w+", page)):
        assert f"`{re.sub('phonobase_(source|forwarder)_', '', name)}`" in page


def test_the_state_is_a_label(state: StateFolder) -> None:
    """A query can ask for the sources in a state."""
    text = RecorderMetrics(state, SetClock(NOW_US)).text()

    assert 'phonobase_source_state{source="b",state="device-lost"} 1.0' in text.splitlines()


def test_nobody_recorded_yet(tmp_path: Path) -> None:
    """Before the first recorder there is nothing to tell, and nothing fails."""
    assert _values(RecorderMetrics(StateFolder(tmp_path / "spool.db"), SetClock(NOW_US)).text()) == {}


def test_a_service_that_has_not_begun(tmp_path: Path) -> None:
    """Sources of a service that never spoke are not well, so that an alarm can tell."""
    metrics = RecorderMetrics(
        StateFolder(tmp_path / "s.db"), SetClock(NOW_US), expected=["a"], forwarding=True
    )

    values = _values(metrics.text())

    assert (values["phonobase_source_well", "a"], values["phonobase_forwarder_well", None]) == (0, 0)


def test_over_http(state: StateFolder) -> None:
    """What is fetched is as new as the fetching."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    metrics = RecorderMetrics(state, SetClock(NOW_US))
    metrics.serve("127.0.0.1", port)

    def fetched() -> float:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return _values(answer.read().decode())["phonobase_source_gaps_total", "b"]

    assert fetched() == 0
    state.say(said("b", gaps=7))
    assert fetched() == 7
    with pytest.raises(RecorderError, match=f"no metrics at 127.0.0.1:{port}"):
        metrics.serve("127.0.0.1", port)


def test_in_a_file(state: StateFolder, tmp_path: Path) -> None:
    """The text file holds the same, and nothing is left beside it."""
    metrics = RecorderMetrics(state, SetClock(NOW_US))
    path = tmp_path / "out" / "phonobase.prom"
    path.parent.mkdir()

    metrics.write(path)

    assert path.read_text() == metrics.text()
    assert list(path.parent.iterdir()) == [path]

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phonobase.recorder.state import StateFolder
from phonobase.service.child import Backoff
from phonobase.service.config import read_service
from phonobase.service.supervisor import Patience, Supervisor
from tests.service.statuses import said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 30
QUICK = Patience(
    ending_s=1.0, stuck_s=20.0, starting_s=20.0, backoff=Backoff(first_s=0.1, longest_s=0.4, healthy_s=60)
)


class Company:
    """A supervisor, and the processes that pretend for it.

    Args:
        folder: Where they note what they do.
        sources: What the service records, and what each recorder does.
        top: More of the service's file.
        forwarder: What the forwarder does; there is none, with None.
        patience: How long the supervisor waits.
    """

    def __init__(
        self,
        folder: Path,
        sources: dict[str, str],
        *,
        top: str = "",
        forwarder: str | None = None,
        patience: Patience = QUICK,
    ) -> None:
        self.folder = folder
        for name, does in {**sources, "forwarder": forwarder or ""}.items():
            (folder / f"{name}.do").write_text(does)
        state = StateFolder(folder / "spool.db")
        state.path.mkdir()
        for name in (*sources, "forwarder"):
            says = asdict(said(name, process=None)) | {"path": str(state._file(name, "status.json"))}
            (folder / f"{name}.json").write_text(json.dumps(says))
        file = folder / "service.toml"
        kinds = {name: "x.wav" if does == "0" else "tone" for name, does in sources.items()}
        tables = "".join(f'[[source]]\nname = "{name}"\ninput = "{kind}"\n' for name, kind in kinds.items())
        file.write_text(f'archive = "postgresql://me:secret@db/sound"\n{top}\n{tables}')
        service = read_service(file, "")
        self.supervisor = Supervisor(
            service,
            folder / "spool.db",
            state,
            forwarding=forwarder is not None,
            program=(sys.executable, "-S", str(Path(__file__).with_name("pretender.py"))),
            patience=patience,
        )

    def starts(self, name: str) -> list[tuple[int, float]]:
        """Returns the process and the time of each start."""
        path = self.folder / f"{name}.starts"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), float(moment)) for pid, moment in (line.split() for line in lines)]

    def call(self, name: str) -> list[str]:
        """Returns how a process was called last."""
        return (self.folder / f"{name}.call").read_text().split("\n")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Runs the supervisor for as long as the block lasts."""
        thread = threading.Thread(target=self.supervisor.run)
        thread.start()
        try:
            yield
        finally:
            self.supervisor.stop()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def _until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
def _pretend_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETEND_IN", str(tmp_path))


def test_one_that_fails_harms_no_other(tmp_path: Path) -> None:
    """What ends is started again, later each time; the others go on in the process that they began in."""
    company = Company(tmp_path, {"bad": "1", "good": "well"})
    with company.at_work():
        _until(lambda: len(company.starts("bad")) >= 5)
        _until(lambda: company.starts("good"))

    moments = [moment for _, moment in company.starts("bad")]
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert [wait >= least for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.4), strict=False)] == [True] * 4
    assert len(company.starts("good")) == 1


def test_a_killed_recorder_is_started_again(tmp_path: Path) -> None:
    """`kill -9` of a recorder costs its source no more than a new start."""
    company = Company(tmp_path, {"a": "well", "b": "well"})
    with company.at_work():
        _until(lambda: company.starts("a") and company.starts("b"))
        os.kill(company.starts("a")[0][0], signal.SIGKILL)
        _until(lambda: len(company.starts("a")) == 2)

    assert len(company.starts("b")) == 1


def test_everything_ends_with_the_supervisor(tmp_path: Path) -> None:
    """Stopped, it leaves no process behind, and the forwarder is the last to go."""
    company = Company(tmp_path, {"a": "well", "b": "well"}, forwarder="well")
    with company.at_work():
        _until(lambda: all(company.starts(name) for name in ("a", "b", "forwarder")))

    assert not any(_lives(company.starts(name)[0][0]) for name in ("a", "b", "forwarder"))


def test_what_does_not_end_is_killed(tmp_path: Path) -> None:
    """A recorder that heeds no SIGTERM holds up the end only for so long."""
    company = Company(tmp_path, {"a": "deaf-to-signals"})
    with company.at_work():
        _until(lambda: StateFolder(tmp_path / "spool.db").said("a"))

    assert not _lives(company.starts("a")[0][0])


@pytest.mark.parametrize("does", ["deaf", "mute"])
def test_a_stuck_recorder_is_started_again(tmp_path: Path, does: str) -> None:
    """A recorder that says nothing, or hears no frames and does not say why, gets a new process."""
    patience = Patience(ending_s=1.0, stuck_s=2.0, starting_s=2.0, backoff=QUICK.backoff)
    company = Company(tmp_path, {"a": does, "b": "well"}, patience=patience)
    with company.at_work():
        _until(lambda: len(company.starts("a")) >= 2)

    assert len(company.starts("b")) == 1


def test_a_stopped_process_is_stuck(tmp_path: Path) -> None:
    """A recorder that was sent SIGSTOP hears no request to end either: it is killed and replaced."""
    patience = Patience(ending_s=1.0, stuck_s=2.0, starting_s=20.0, backoff=QUICK.backoff)
    company = Company(tmp_path, {"a": "well"}, patience=patience)
    with company.at_work():
        _until(lambda: StateFolder(tmp_path / "spool.db").said("a"))
        first = company.starts("a")[0][0]
        os.kill(first, signal.SIGSTOP)
        _until(lambda: len(company.starts("a")) == 2)

    assert not _lives(first)


def test_a_wrong_call_is_repeated_slowly(tmp_path: Path) -> None:
    """A process that says that it was called in a wrong way is not started ten times a second."""
    patience = Patience(backoff=Backoff(first_s=0.1, longest_s=0.8))
    company = Company(tmp_path, {"a": "well"}, forwarder="2", patience=patience)
    with company.at_work():
        _until(lambda: len(company.starts("forwarder")) == 2)

    (_, first), (_, second) = company.starts("forwarder")[:2]
    assert second - first >= 0.8


def test_files_that_have_ended_end_the_service(tmp_path: Path) -> None:
    """Where every input has come to its end, there is nothing left to keep running."""
    company = Company(tmp_path, {"a": "0", "b": "0"})

    company.supervisor.run()

    assert [len(company.starts(name)) for name in ("a", "b")] == [1, 1]


def test_no_password_is_among_the_arguments(tmp_path: Path) -> None:
    """What everybody on the machine may see of a process names no password."""
    company = Company(tmp_path, {"a": "well"}, top='grace = "90m"', forwarder="well")
    with company.at_work():
        _until(lambda: (tmp_path / "a.call").exists() and (tmp_path / "forwarder.call").exists())
        time.sleep(0.1)

    assert company.call("a") == ["run", str(tmp_path / "service.toml"), "--only", "a"]
    assert company.call("forwarder") == [
        *("--db", f"sqlite:///{tmp_path}/spool.db"),
        *("push", "--follow", "--grace", "5400.000s"),
    ]


def test_metrics_go_to_a_file(tmp_path: Path) -> None:
    """A text file tells Prometheus's node exporter how often each process was started again."""
    company = Company(tmp_path, {"a": "1"}, top='metrics_file = "m.prom"')
    with company.at_work():
        _until(lambda: len(company.starts("a")) >= 3)

    lines = (tmp_path / "m.prom").read_text().splitlines()
    (count,) = (float(line.split()[1]) for line in lines if line.startswith("phonobase_restarts_total{"))
    assert count >= 2


def test_metrics_that_cannot_be_had_stop_no_recorder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An address that is taken and a file that cannot be written are logged, and sound is recorded."""
    top = 'metrics = "203.0.113.1:1"\nmetrics_file = "/proc/no/such/file"'
    company = Company(tmp_path, {"a": "well"}, top=top)
    with caplog.at_level("ERROR", "phonobase"), company.at_work():
        _until(lambda: company.starts("a"))

    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "no metrics at 203.0.113.1",
        "no metrics in /proc/no/such/file",
    ]

"""What recorders and forwarders might say of themselves."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from phonobase.recorder.state import ForwarderStatus, SourceStatus
from phonobase.store.recover import recorder_facts

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


def said(source: str = "desk", **changes: Any) -> SourceStatus:  # noqa: ANN401 - fields of any type
    """Returns what a recorder says that lives, and hears and stores as it should."""
    status = SourceStatus(
        source=source,
        pid=os.getpid(),
        process=str(recorder_facts()["process"]),
        state="recording",
        detail="",
        state_since_us=NOW_US - 3_600 * SECOND_US,
        updated_us=NOW_US - SECOND_US // 2,
        run_id="0" * 32,
        sample_rate=48_000,
        frames_heard=48_000 * 3_600,
        heard_until_us=NOW_US - SECOND_US,
        peak_dbfs=-12.5,
        rms_dbfs=-20.0,
        zeros_since_us=None,
        committed_us=NOW_US - 2 * SECOND_US,
        committed_bytes=100_000_000,
        started_us=NOW_US - 3_600 * SECOND_US,
        drift_ppm=None,
        gaps=0,
        free_bytes=3_000_000_000,
        floor_bytes=1_000_000_000,
    )
    return replace(status, **changes)


def forwarding(**changes: Any) -> ForwarderStatus:  # noqa: ANN401 - fields of any type
    """Returns what a forwarder says that lives, and forwards as it should."""
    status = ForwarderStatus(
        pid=os.getpid(),
        process=str(recorder_facts()["process"]),
        to="postgresql://phonobase@db/phonobase",
        state="forwarding",
        detail="",
        state_since_us=NOW_US - 3_600 * SECOND_US,
        updated_us=NOW_US - SECOND_US // 2,
        forwarded_us=NOW_US - SECOND_US,
        backlog_us=2 * SECOND_US,
        backlog_bytes=100_000,
    )
    return replace(status, **changes)

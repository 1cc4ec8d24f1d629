"""Memory does not grow with the length of a recording."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.recorder.peak import PROGRAM_SAYING_ITS_PEAK

_RATE = 8000
_TWO_MINUTES_S = 2 * 60
_SIX_HOURS_S = 6 * 3600
_PIECE_S = 10


def _peak_kib(url: str, *arguments: str, seconds: int = 0) -> int:
    """Run the program, send it so many seconds of noise, and return its peak memory."""
    # Few arenas: how many threads met the allocator at once must not decide what is measured.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    program = [sys.executable, "-c", PROGRAM_SAYING_ITS_PEAK, "--db", url, *arguments]
    noise = np.random.default_rng(1).integers(-3000, 3000, _PIECE_S * _RATE).astype("<i2").tobytes()
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for _ in range(seconds // _PIECE_S):
            process.stdin.write(noise)
        process.stdin.close()
        said = process.stderr.read().decode()
    assert process.returncode == 0, said
    return int(said.split()[-1])


def test_six_hours_take_no_more_memory_than_two_minutes(archive_url: str, tmp_path: Path) -> None:
    """Recording six hours of standard input, and exporting them, holds within 5 % of what two minutes do."""
    record = ("record", "--input", "-", "--samplerate", str(_RATE), "--channels", "1", "--dtype", "int16")
    peaks = {}
    for seconds in (_TWO_MINUTES_S, _SIX_HOURS_S):
        recording = _peak_kib(archive_url, *record, seconds=seconds)
        export = _peak_kib(archive_url, "export", "last", "-o", str(tmp_path / f"{seconds}.flac"))
        peaks[seconds] = {"record": recording, "export": export}
    print(peaks)
    growth = {what: peaks[_SIX_HOURS_S][what] / peaks[_TWO_MINUTES_S][what] for what in ("record", "export")}

    assert {what: ratio for what, ratio in growth.items() if ratio > 1.05} == {}
    assert subprocess.run(["flac", "-ts", tmp_path / f"{_SIX_HOURS_S}.flac"], check=True).returncode == 0

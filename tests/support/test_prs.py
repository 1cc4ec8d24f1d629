import numpy as np
import pytest

from tests.support.prs import Fault, Frames, assert_contiguous, faults, locate, noise

SIGNAL = noise(20_000, channels=2)
SILENCE = np.zeros((700, 2), np.int16)


@pytest.mark.parametrize(
    ("recorded", "offset"),
    [
        (SIGNAL, 0),
        (np.concatenate([SILENCE, SIGNAL, SILENCE]), -700),
        (np.concatenate([SILENCE, SIGNAL[:5000]]), -700),
        (SIGNAL[1234:9000], 1234),
        (np.concatenate([SIGNAL[1234:], SILENCE]), 1234),
        (SIGNAL[:5000].reshape(-1), 0),
    ],
)
def test_a_whole_stretch_is_found_where_it_was_played(recorded: Frames, offset: int) -> None:
    """Neither silence around the signal nor a late start is taken for a loss."""
    assert locate(recorded, SIGNAL) == offset
    assert assert_contiguous(recorded, SIGNAL) == offset


@pytest.mark.parametrize(
    ("recorded", "fault"),
    [
        ([SIGNAL[:5000], SIGNAL[5001:]], Fault(at=5000, lost=1, foreign=0)),
        ([SIGNAL[:5000], SIGNAL[4999:]], Fault(at=5000, lost=-1, foreign=0)),
        ([SIGNAL[:5000], SILENCE, SIGNAL[5000:]], Fault(at=5000, lost=0, foreign=700)),
        ([SIGNAL[:5000], SILENCE, SIGNAL[5700:]], Fault(at=5000, lost=700, foreign=700)),
        ([SIGNAL[:5000], SIGNAL[5000:5001] ^ 1, SIGNAL[5001:]], Fault(5000, 1, 1)),
        ([SILENCE, SIGNAL[3:]], Fault(at=700, lost=3, foreign=0)),
        ([SIGNAL[:-3], SILENCE], Fault(at=19_997, lost=3, foreign=700)),
        ([SIGNAL, SIGNAL[:1]], Fault(at=20_000, lost=0, foreign=1)),
    ],
)
def test_the_first_wrong_frame_is_named(recorded: list[Frames], fault: Fault) -> None:
    """A loss, a repetition or an alteration of a single frame is found where it is."""
    joined = np.concatenate(recorded)
    assert faults(joined, SIGNAL) == [fault]
    with pytest.raises(AssertionError, match=f"^frame {fault.at}: "):
        assert_contiguous(joined, SIGNAL)


def test_every_fault_is_found() -> None:
    """The search goes on behind a fault, however many there are."""
    pieces = [SIGNAL[start : start + 90] for start in range(0, 20_000, 100)]
    found = faults(np.concatenate(pieces), SIGNAL)
    assert [fault.lost for fault in found] == [10] * 199


def test_another_signal_is_not_taken_for_this_one() -> None:
    """A recording of something else fails."""
    with pytest.raises(AssertionError, match="nothing of the signal"):
        locate(noise(5000, channels=2, seed=2), SIGNAL)

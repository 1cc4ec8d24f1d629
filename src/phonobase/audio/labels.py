"""What is said of stretches of a file, in the formats that players and editors read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_BREAKS = re.compile(r"\s*[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+\s*")
_WHITE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of a stretch of a file.

    Attributes:
        first_frame: Frames of the file before the stretch.
        frame_count: Frames in it; 0 for a moment.
        kind: What sort of thing is said: note, label, transcript, speech.
        text: What is said, in words.
        score: How sure or how strong, on its author's own scale.
    """

    first_frame: int
    frame_count: int
    kind: str
    text: str | None = None
    score: float | None = None

    @property
    def end_frame(self) -> int:
        """The frame behind the last one."""
        return self.first_frame + self.frame_count

    @property
    def caption(self) -> str:
        """What a player or an editor shows: the text, or the kind where there is none to be seen."""
        return (self.text or "").strip() or self.kind


def webvtt(labels: Sequence[Label], sample_rate: int) -> str:
    """Return labels as a WebVTT file: a cue each, called by its number and kind.

    Times are whole milliseconds: a cue begins no later and ends no earlier than its stretch, and one that
    stands for a moment lasts one.

    Args:
        labels: In the order of their first frames.
        sample_rate: Frames a second.
    """
    cues = ["WEBVTT\n"]
    for number, label in enumerate(labels, 1):
        begin_ms = label.first_frame * 1000 // sample_rate
        end_ms = max(begin_ms + 1, -(-label.end_frame * 1000 // sample_rate))
        name = f"{number} {_in_one_line(label.kind)}".replace("-->", "->")
        text = _LINE_BREAKS.sub("\n", label.caption)  # an empty line would end the cue
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{name}\n{_clock(begin_ms)} --> {_clock(end_ms)}\n{text}\n")
    return "\n".join(cues)


def audacity(labels: Sequence[Label], sample_rate: int) -> str:
    """Return labels as Audacity imports them: begin, end and text, separated by tabs, one a line.

    Times are seconds to the nanosecond, so that every rate's frames are told apart.

    Args:
        labels: In the order of their first frames.
        sample_rate: Frames a second.
    """
    return "".join(
        f"{_seconds(label.first_frame, sample_rate)}\t{_seconds(label.end_frame, sample_rate)}\t"
        f"{_in_one_line(label.caption)}\n"
        for label in labels
    )


def _in_one_line(text: str) -> str:
    return _WHITE.sub(" ", text).strip()


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"


def _seconds(frame: int, sample_rate: int) -> str:
    nanoseconds = (frame * 2_000_000_000 + sample_rate) // (2 * sample_rate)
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09}"

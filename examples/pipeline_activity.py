"""A pipeline: follow an archive, find where something is to be heard, and say so in annotations.

The detector is a plain one, of energy; put a recognizer in its place. The pipeline may be ended at any time,
killed too, and goes on where it was: what it says is the same as if it had never stopped.
It needs ``pip install phonobase``; run it with
``python examples/pipeline_activity.py sqlite:///clips.db activity.position``.
"""

import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from phonobase import Archive, Part, RecordingRepository
from phonobase.audio.labels import webvtt
from phonobase.errors import CorruptRecording, RecordingNotFound
from phonobase.pcm import Frames, SampleFormat, convert
from phonobase.store.labels import labels_of
from phonobase.store.take import Take

KIND, AUTHOR = "activity", "pipeline_activity 1"
WINDOWS_A_SECOND = 10
THRESHOLD_DBFS = -40.0


@dataclass(frozen=True)
class Stretch:
    """Frames of a recording in which something is to be heard, and how loud the loudest window of them is."""

    first_frame: int
    end_frame: int
    dbfs: float


def run(
    archive: Archive, notebook: Path, source: str | None = None, idle_seconds: float | None = None
) -> None:
    """Annotate everything, from the position in the notebook on, and note every new one there."""
    after = notebook.read_text() if notebook.exists() else "start"
    for part in archive.follow(source, after, idle_seconds=idle_seconds):
        try:
            judge(archive, part)
        except (RecordingNotFound, CorruptRecording) as error:  # deleted meanwhile, or damaged
            print(error, file=sys.stderr)
        note(notebook, part.position)


def judge(archive: Archive, part: Part) -> None:
    """Annotate the windows that a part completes.

    Windows are counted from the recording's first frame, so that it does not matter where parts are cut. What
    was said of these windows before, by a run that could not note it any more, is replaced.
    """
    window = max(1, part.recording.format.sample_rate // WINDOWS_A_SECOND)
    begin = part.first_frame // window * window
    end = part.end_frame if part.ends else part.end_frame // window * window
    frames = archive.read(part.recording.id, begin, end)
    stretches = find(
        convert(frames, part.recording.format.sample_format, SampleFormat.FLOAT32), window, begin
    )
    with archive.writing() as repository:
        for one in joined([*take_back(repository, part, begin), *stretches]):
            count = one.end_frame - one.first_frame
            repository.annotate(
                part.recording.id, one.first_frame, count, KIND, score=one.dbfs, author=AUTHOR
            )


def find(sound: Frames, window: int, begin: int) -> list[Stretch]:
    """Return the windows in which something is to be heard.

    Args:
        sound: Shape (frames, channels), full scale being 1.
        window: Frames in a window; the last one may be shorter.
        begin: Frames of the recording before the sound.
    """
    found = []
    for first in range(0, len(sound), window):
        power = float(np.mean(np.square(sound[first : first + window], dtype=np.float64)))
        dbfs = 10 * np.log10(power) if power else -np.inf
        if dbfs >= THRESHOLD_DBFS:
            end = min(first + window, len(sound))
            found.append(Stretch(begin + first, begin + end, round(dbfs, 1)))
    return found


def take_back(repository: RecordingRepository, part: Part, begin: int) -> list[Stretch]:
    """Take back what this pipeline said of frames from ``begin`` on, or up to it; return what lies before."""
    before = []
    about = repository.annotations(
        part.recording.id, kind=KIND, author=AUTHOR, since=part.started_at - timedelta(seconds=1)
    )
    for said in about:
        if said.end_frame >= begin:
            repository.delete_annotation(said.id)
            if said.first_frame < begin:
                before.append(Stretch(said.first_frame, begin, said.score or 0.0))
    return before


def joined(stretches: list[Stretch]) -> list[Stretch]:
    """Return stretches with those made one that touch."""
    whole: list[Stretch] = []
    for one in stretches:
        if whole and whole[-1].end_frame == one.first_frame:
            loudest = max(whole[-1].dbfs, one.dbfs)
            whole[-1] = replace(whole[-1], end_frame=one.end_frame, dbfs=loudest)
        else:
            whole.append(one)
    return whole


def note(notebook: Path, position: str) -> None:
    """Note a position; whenever it is ended, the notebook holds a whole one: this, or the one before."""
    new = notebook.with_name(f"{notebook.name}.new")
    new.write_text(position)
    new.replace(notebook)


def subtitles(archive: Archive, recording_id: str) -> str:
    """Return what is said of a recording as WebVTT, as ``phonobase export --labels vtt`` writes it."""
    recording = archive.get(recording_id)
    return webvtt(labels_of(archive, Take.of(recording)), recording.format.sample_rate)


def main() -> None:
    """Annotate the archive that the command line names, until it is ended."""
    match sys.argv[1:]:
        case [url, notebook]:
            with Archive(url, create=False) as archive:
                run(archive, Path(notebook))
        case _:
            sys.exit("usage: python examples/pipeline_activity.py DATABASE_URL POSITION_FILE")


if __name__ == "__main__":
    main()

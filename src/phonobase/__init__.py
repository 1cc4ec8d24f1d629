"""A recording archive in your database.

Every second of sound is there, provably unaltered, or listed as a gap with its cause.
"""

from __future__ import annotations

from phonobase.audio.kinds import Kind
from phonobase.capture.seed import record_audio_to_bytes
from phonobase.errors import PhonobaseError
from phonobase.pcm import AudioFormat, SampleFormat
from phonobase.store.annotations import Annotation
from phonobase.store.archive import Archive
from phonobase.store.coverage import Coverage, Gap
from phonobase.store.cut import Cut, GapPolicy
from phonobase.store.export import write_take
from phonobase.store.follow import Part
from phonobase.store.found import Recordings
from phonobase.store.joining import session_on
from phonobase.store.query import Conditions, Level, Query
from phonobase.store.recording import Details, Recording, State
from phonobase.store.repository import RecordingRepository
from phonobase.store.take import Take

__all__ = [
    "Annotation",
    "Archive",
    "AudioFormat",
    "Conditions",
    "Coverage",
    "Cut",
    "Details",
    "Gap",
    "GapPolicy",
    "Kind",
    "Level",
    "Part",
    "PhonobaseError",
    "Query",
    "Recording",
    "RecordingRepository",
    "Recordings",
    "SampleFormat",
    "State",
    "Take",
    "record_audio_to_bytes",
    "session_on",
    "write_take",
]

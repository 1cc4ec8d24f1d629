"""Every error phonobase raises on purpose.

The tree, in the manner of the Python database API::

    PhonobaseError
    ├── InvalidDetails             what is said of a recording cannot be stored (a ValueError)
    ├── AudioError                 what was given is not sound that can be stored
    │   ├── UnsupportedFormat      a format, rate or channel count outside the limits (a ValueError)
    │   ├── TooMuchAudio           more sound than is taken at once
    │   └── InvalidAudio           bytes or a file that do not hold the sound they promise
    │       └── TruncatedAudio     ... because their end is missing
    ├── CaptureError               a device does not give sound
    │   ├── PortAudioMissing       the library that talks to devices is not installed
    │   ├── DeviceUnavailable      no such device, or it is busy, or it refuses the format
    │   └── DeviceLost             it stopped giving sound while recording
    ├── RecorderError              a recorder cannot do what it was asked to
    │   ├── InvalidService         a service's file cannot be read as one
    │   └── RecorderRunning        another recorder is at the same source
    ├── ProofFailed                an exported file is not what its manifest says
    ├── CannotServe                the archive cannot be served over HTTP as it was asked for
    └── StoreError                 the database does not do what it should
        ├── DatabaseUnavailable    it cannot be reached or refuses to work
        │   └── NotPermitted       who is connected may not do this
        ├── StorageFull            its disk is full
        ├── SchemaError            its tables are missing, older or newer than this program
        ├── RecordingNotFound      no recording has that id (a LookupError)
        ├── AnnotationNotFound     no annotation has that id (a LookupError)
        ├── TokenNotFound          no token has the given id (a LookupError)
        ├── RecordingClosed        somebody else closed the recording that was being written
        ├── RecordingConflict      two archives hold different sound under one id
        ├── GapInCut               a stretch of time has gaps, and was to be had without
        └── CorruptRecording       stored bytes are missing or do not decode

A message names the thing and says what to do next; the command line prints it as it is.
"""

from __future__ import annotations


class PhonobaseError(Exception):
    """Root of every error phonobase raises on purpose."""


class InvalidDetails(PhonobaseError, ValueError):
    """What is said of a recording, or asked for, cannot be stored: a name, a time, a tag."""


class AudioError(PhonobaseError):
    """What was given is not sound that can be stored."""


class UnsupportedFormat(AudioError, ValueError):
    """A sample format, sample rate or channel count is outside the limits."""


class TooMuchAudio(AudioError):
    """There is more sound than is taken at once."""


class InvalidAudio(AudioError):
    """Bytes or a file do not hold the sound they promise."""


class TruncatedAudio(InvalidAudio):
    """Bytes or a file end before the sound they promise does."""


class CaptureError(PhonobaseError):
    """A device does not give sound."""


class PortAudioMissing(CaptureError):
    """The PortAudio library is not installed, so no device can be heard."""


class DeviceUnavailable(CaptureError):
    """No such device, or it is busy, or it refuses the format."""


class DeviceLost(CaptureError):
    """A device stopped giving sound while it was being recorded."""


class RecorderError(PhonobaseError):
    """A recorder cannot do what it was asked to."""


class InvalidService(RecorderError):
    """A service's file has a key or a value that means nothing."""


class RecorderRunning(RecorderError):
    """Another recorder is at the same source."""


class ProofFailed(PhonobaseError):
    """An exported file, or the manifest that went with it, is not what it was."""


class CannotServe(PhonobaseError):
    """The archive cannot be served over HTTP: something is not installed, or a port is taken."""


class StoreError(PhonobaseError):
    """The database does not do what it should."""


class DatabaseUnavailable(StoreError):
    """The database cannot be reached, or refuses to work."""


class NotPermitted(DatabaseUnavailable):
    """The user of the database that is connected may not do this."""


class StorageFull(StoreError):
    """The disk under the database is full."""


class SchemaError(StoreError):
    """The database's tables are missing, older or newer than this program.

    Attributes:
        found: The revision the database is at; None where it has no phonobase tables.
        expected: The revision this program needs.
    """

    def __init__(self, message: str, *, found: str | None, expected: str) -> None:
        super().__init__(message)
        self.found = found
        self.expected = expected


class RecordingNotFound(StoreError, LookupError):
    """No recording, or more than one, answers to the given id."""


class AnnotationNotFound(StoreError, LookupError):
    """No annotation has the given id."""


class TokenNotFound(StoreError, LookupError):
    """No token has the given id."""


class RecordingClosed(StoreError):
    """Somebody else closed the recording that was being written."""


class RecordingConflict(StoreError):
    """Two archives hold different sound under one id; nothing was overwritten."""


class GapInCut(StoreError):
    """A stretch of time has gaps, and was to be had without any."""


class CorruptRecording(StoreError):
    """Stored bytes are missing or do not decode; ``phonobase verify`` says where."""

"""The archive for programs with an event loop: the same names, awaited.

``AsyncRecordingRepository`` works in the transaction of a host's AsyncSession; ``AsyncArchive`` owns its own.
"""

from phonobase.aio.archive import AsyncArchive
from phonobase.aio.engine import create_async_engine
from phonobase.aio.file import AsyncFile
from phonobase.aio.repository import AsyncRecordingRepository
from phonobase.aio.writer import AsyncRecordingWriter

__all__ = [
    "AsyncArchive",
    "AsyncFile",
    "AsyncRecordingRepository",
    "AsyncRecordingWriter",
    "create_async_engine",
]

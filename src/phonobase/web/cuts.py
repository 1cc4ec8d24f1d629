"""A stretch of a source's time to take along: as a file, or as a ZIP of several, with what proves them."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, cast

import anyio
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from phonobase.audio.kinds import Kind
from phonobase.errors import InvalidDetails, RecordingNotFound, StorageFull
from phonobase.store.archive import Archive
from phonobase.store.cut import Cut, GapPolicy
from phonobase.store.delivery import Plan, deliver, own_kind
from phonobase.store.names import moment_name
from phonobase.store.take import Take
from phonobase.web.problems import answers, problem
from phonobase.web.sending import Stream, disposition, in_threads
from phonobase.web.visit import Reading, Visit

router = APIRouter(tags=["audio"])

_PIECE_BYTES = 1024 * 1024
_ZIP = "application/zip"
_MEDIA_TYPES = {
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".opus": "audio/ogg",
    ".zip": _ZIP,
}
_log = logging.getLogger(__name__)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A file, or a ZIP of several",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in _MEDIA_TYPES.values()
        },
    },
    **answers(404, 409, 500, 507),
}


class _Left(Exception):
    """Whoever asked is gone."""


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What files there are to be; as the fields of the request."""

    kind: Kind | None
    labels: frozenset[str]
    manifest: bool


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that is open and has no name any more: when it is closed, nothing is left.

    Attributes:
        name: What it is to be called.
        file: Its bytes.
    """

    name: str
    file: BinaryIO


@router.get("/cut", response_class=Response, responses=_ANSWERS)
async def get_cut(
    request: Request,
    visit: Reading,
    source: Annotated[str, Query(description="whose time", examples=["desk-3"])],
    since: Annotated[AwareDatetime, Query(alias="from", description="where it begins")],
    until: Annotated[AwareDatetime, Query(alias="to", description="where it ends")],
    *,
    gaps: Annotated[GapPolicy, Query(description="what becomes of time without sound")] = GapPolicy.SILENCE,
    kind: Annotated[
        Kind | None, Query(alias="format", description="what kind of file; FLAC, if it can hold the sound")
    ] = None,
    manifest: Annotated[bool, Query(description="whether what proves the files goes along")] = False,
    labels: Annotated[
        list[Literal["vtt", "txt", "cues"]] | None,
        Query(description="how annotations go along: in files beside those with the sound, or within"),
    ] = None,
) -> Response:
    """Cut a stretch out of a source's time, across recordings, to the frame.

    It is one file, as such, unless the format changes within it, the gaps split it, or more than its sound is
    asked for: then it is a ZIP. ``phonobase verify FILE --manifest M`` proves a file without the archive.
    """
    visit.detail = f"{since.isoformat()} to {until.isoformat()}"
    wishes = _Wishes(kind, frozenset(labels or ()), manifest)
    cut = await run_in_threadpool(_cut, visit, source, since, until, gaps)
    room = visit.site.room
    held = room.take(visit.visitor.name)
    with room.back_if_it_fails(held):
        async with visit.site.cutting.turn():
            made = await _unless_left(request, partial(_make, visit.archive, cut, wishes))
    if made is None:
        room.give_back(held)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "nobody waits for it any more")
    held.size = os.fstat(made.file.fileno()).st_size
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": disposition(made.name, download=True),
        "Content-Length": str(held.size),
        "X-Content-Type-Options": "nosniff",
    }
    rest = _pieces(made.file, partial(room.give_back, held))
    return Stream(in_threads(next(rest), rest), headers, _MEDIA_TYPES[Path(made.name).suffix])


def _cut(visit: Visit, source: str, since: datetime, until: datetime, gaps: GapPolicy) -> Cut:
    visit.about(source)
    longest_s = visit.site.limits.cut_seconds
    if (until - since).total_seconds() > longest_s:
        raise InvalidDetails(f"a cut is {longest_s} seconds long at most; cut it in parts")
    cut = visit.archive.cut(source, since, until, gaps)
    if not cut.takes:
        period = f"from {since.isoformat()} to {until.isoformat()}"
        raise RecordingNotFound(f"nothing of {source} was heard {period}; ask for the gaps then")
    return cut


async def _unless_left(request: Request, make: Callable[[threading.Event], _Made]) -> _Made | None:
    """Return what is made in a thread; None where nobody waits for it any more, which ends the work."""
    left = threading.Event()

    async def watch() -> None:
        try:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        finally:  # also where the request is ended from here
            left.set()

    made: _Made | None = None
    error: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            made = await run_in_threadpool(make, left)
        except _Left:
            pass
        except Exception as raised:  # noqa: BLE001 - raised again, as it was, and not in a group
            error = raised
        tasks.cancel_scope.cancel()
    if error is not None:
        raise error
    return made


def _make(archive: Archive, cut: Cut, wishes: _Wishes, left: threading.Event) -> _Made:
    """Return the files of a cut as one, open; their folder is gone again.

    Raises:
        _Left: Nobody waits for it any more.
        HTTPException: 507: there is no room for them.
        PhonobaseError: They cannot be made.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="phonobase-cut-") as name:
            folder = _Folder(Path(name), left)
            plans = [folder.plan(take, wishes.kind or own_kind(take)) for take in cut.takes]
            paths = deliver(
                archive, cut, plans, folder, folder.progress, labels=wishes.labels, manifest=wishes.manifest
            )
            if len(paths) == 1:
                return _Made(paths[0].name, paths[0].open("rb"))
            return _Made(moment_name(cut.source, cut.since, ".zip"), folder.zipped(paths))
    except OSError as error:
        if error.errno in _FULL:
            raise _no_room() from error
        raise
    except StorageFull as error:
        raise _no_room() from error


def _no_room() -> HTTPException:
    said = "the disk for temporary files is full; cut a shorter stretch"
    _log.error(said)
    return HTTPException(HTTPStatus.INSUFFICIENT_STORAGE, said)


class _Folder:
    """Where files are made that somebody waits for.

    Args:
        path: The folder.
        left: Whether nobody does any more.
    """

    def __init__(self, path: Path, left: threading.Event) -> None:
        self._path, self._left = path, left

    def plan(self, take: Take, kind: Kind) -> Plan:
        """Return what becomes of a take here."""
        return Plan(self._path / moment_name(take.source, take.started_at, kind.suffix), kind, take)

    @contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """Give a file to write."""
        self._check()
        with path.open("xb") as file:
            yield file

    def unnamed(self, path: Path) -> Path:
        """Return where a file is."""
        self._check()
        return path

    @contextmanager
    def progress(self, _plan: Plan) -> Iterator[Callable[[int], None]]:
        """Give what ends the work when nobody waits for it any more."""
        yield lambda _frames: self._check()

    def zipped(self, paths: Sequence[Path]) -> BinaryIO:
        """Return files as a ZIP, and remove each of them."""
        # Whoever is given it closes it.
        file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._path))  # noqa: SIM115
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for path in paths:
                    self._check()
                    archive.write(path, path.name)
                    path.unlink()
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def _check(self) -> None:
        if self._left.is_set():
            raise _Left


def _pieces(file: BinaryIO, closed: Callable[[], None]) -> Generator[bytes]:
    """Yield what is in a file, close it, and say that it is."""
    try:
        with file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
    finally:
        closed()

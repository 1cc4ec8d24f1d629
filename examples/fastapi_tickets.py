"""A help desk by FastAPI: a ticket and its voice note are stored in one transaction, or not at all.

It needs ``pip install 'phonobase[async]' fastapi python-multipart uvicorn``; run it with
``PHONOBASE_DB=sqlite:///tickets.db uvicorn --factory examples.fastapi_tickets:create_app``.
"""

import asyncio
import contextlib
import io
import math
import os
from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import soundfile
from fastapi import Depends, FastAPI, Form, Header, HTTPException, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import ForeignKey
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from examples.byte_range import byte_range
from phonobase import Recording
from phonobase.aio import AsyncArchive, AsyncRecordingRepository, create_async_engine
from phonobase.errors import AudioError
from phonobase.store import schema
from phonobase.store.engine import WRITES
from phonobase.store.models import RecordingRow


class Base(DeclarativeBase):
    """Where the help desk's own tables are registered."""


class Ticket(Base):
    """What a customer reports; the voice note cannot be deleted while the ticket is there."""

    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_number: Mapped[str] = mapped_column(unique=True)
    voice: Mapped[UUID] = mapped_column(ForeignKey(RecordingRow.id, ondelete="RESTRICT"))


class TicketOut(BaseModel):
    """A ticket as the program's clients see it."""

    id: int
    order_number: str
    seconds: float
    peak_dbfs: float | None
    voice: str


async def writing(request: Request) -> AsyncGenerator[AsyncSession]:
    """Give a request a session in a transaction: committed at its end, rolled back where it fails."""
    # On SQLite a transaction that will write takes the lock when it begins.
    engine = request.app.state.engine.execution_options(**{WRITES: True})
    async with AsyncSession(engine) as session, session.begin():
        yield session


async def reading(request: Request) -> AsyncGenerator[AsyncSession]:
    """Give a request a session to look with."""
    async with AsyncSession(request.app.state.engine) as session:
        yield session


def archive(request: Request) -> AsyncArchive:
    """Give a request the archive, for downloads: no transaction stays open while somebody listens."""
    opened: AsyncArchive = request.app.state.archive
    return opened


# With this scope a transaction is committed before the answer is sent, and not after.
Writing = Annotated[AsyncSession, Depends(writing, scope="function")]
Reading = Annotated[AsyncSession, Depends(reading, scope="function")]
InArchive = Annotated[AsyncArchive, Depends(archive)]


def create_app(url: str | None = None) -> FastAPI:
    """Return the program.

    Args:
        url: Where its tables and the archive's are; what PHONOBASE_DB names, where not given.
    """
    address = url or os.environ.get("PHONOBASE_DB", "sqlite:///tickets.db")

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        engine = create_async_engine(address)
        async with engine.execution_options(**{WRITES: True}).begin() as connection:
            await connection.run_sync(schema.upgrade)
            await connection.run_sync(Base.metadata.create_all)
        app.state.engine = engine
        async with AsyncArchive(address) as app.state.archive:
            yield
        await engine.dispose()

    app = FastAPI(title="Tickets", lifespan=lifespan)
    app.post("/tickets", status_code=201)(make_ticket)
    app.get("/tickets/{ticket_id}")(show_ticket)
    app.get("/tickets/{ticket_id}/voice")(stream_voice)
    return app


async def make_ticket(order_number: Annotated[str, Form()], voice: UploadFile, session: Writing) -> TicketOut:
    """Store a ticket with its voice note: any file that libsndfile reads, as WAV, FLAC, MP3 or Ogg."""
    try:
        pcm, samplerate, channels = await asyncio.to_thread(_decode, await voice.read())
        recording = await AsyncRecordingRepository(session).add(
            pcm, samplerate, channels, source="tickets", external_id=order_number
        )
    except AudioError as error:
        raise HTTPException(400, str(error)) from error
    ticket = Ticket(order_number=order_number, voice=recording.id)
    session.add(ticket)
    try:
        await session.flush()
    except IntegrityError as error:  # the voice note goes with the ticket
        raise HTTPException(409, f"order {order_number} has a ticket already") from error
    return _shown(ticket, recording)


async def show_ticket(ticket_id: int, session: Reading) -> TicketOut:
    """Return a ticket; no audio is read."""
    ticket = await _found(session, ticket_id)
    return _shown(ticket, await AsyncRecordingRepository(session).get(ticket.voice))


async def stream_voice(
    ticket_id: int,
    session: Reading,
    archive: InArchive,
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> StreamingResponse:
    """Stream a voice note, or the part of it that a player asks for."""
    ticket = await _found(session, ticket_id)
    file = await archive.open(ticket.voice)
    try:
        start, stop = byte_range(range_, file.size)
    except ValueError as error:
        raise HTTPException(416, str(error), {"Content-Range": f"bytes */{file.size}"}) from error
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
    if range_ is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return StreamingResponse(
        file.pieces(start, stop),
        status_code=200 if range_ is None else 206,
        media_type=(await archive.get(ticket.voice)).media_type,
        headers=headers,
    )


async def _found(session: AsyncSession, ticket_id: int) -> Ticket:
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        raise HTTPException(404, f"there is no ticket {ticket_id}")
    return ticket


def _shown(ticket: Ticket, recording: Recording) -> TicketOut:
    return TicketOut(
        id=ticket.id,
        order_number=ticket.order_number,
        seconds=recording.seconds,
        peak_dbfs=None if recording.peak_dbfs == -math.inf else recording.peak_dbfs,
        voice=f"/tickets/{ticket.id}/voice",
    )


def _decode(upload: bytes) -> tuple[bytes, int, int]:
    """Return the PCM of a file as 16-bit samples, its sample rate and its channels."""
    try:
        frames, samplerate = soundfile.read(io.BytesIO(upload), dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise HTTPException(
            400, f"the voice note is no sound that can be read: {error.error_string}"
        ) from error
    return frames.astype("<i2").tobytes(), samplerate, frames.shape[1]

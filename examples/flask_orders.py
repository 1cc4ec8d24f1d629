"""A shop by Flask: the call in which an order was placed is found from the order.

The recordings are made by others: by the telephone system, which says what it calls the call, or by a
recorder that runs at a clerk's desk. Nothing is copied into the shop's tables. It needs
``pip install phonobase flask``; run it with
``PHONOBASE_DB=sqlite:///shop.db flask --app examples.flask_orders run``.
"""

import os
from datetime import UTC, datetime

from flask import Blueprint, Flask, abort, current_app, request, send_file
from sqlalchemy import DateTime, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug import Response

from phonobase import Archive, Recording
from phonobase.store import schema
from phonobase.store.engine import create_engine

shop = Blueprint("shop", __name__)


class Base(DeclarativeBase):
    """Where the shop's own tables are registered."""


class Order(Base):
    """What a customer ordered by telephone."""

    __tablename__ = "shop_order"

    number: Mapped[str] = mapped_column(primary_key=True)
    desk: Mapped[str]
    placed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    call_id: Mapped[str | None]


def create_app(url: str | None = None) -> Flask:
    """Return the program.

    Args:
        url: Where its tables and the archive's are; what PHONOBASE_DB names, where not given.
    """
    app = Flask(__name__)
    engine = create_engine(url or os.environ.get("PHONOBASE_DB", "sqlite:///shop.db"))
    schema.upgrade(engine)
    Base.metadata.create_all(engine)
    app.extensions["archive"] = Archive(engine)
    app.register_blueprint(shop)
    return app


@shop.post("/orders")
def place() -> tuple[dict[str, str], int]:
    """Store an order; its call may still be going on."""
    said = request.get_json()
    with Session(_archive().engine) as session, session.begin():
        session.add(
            Order(
                number=said["number"],
                desk=said["desk"],
                placed_at=datetime.now(UTC),
                call_id=said.get("call_id"),
            )
        )
    return {"number": said["number"]}, 201


@shop.get("/orders/<number>")
def show(number: str) -> dict[str, object]:
    """Return an order and what is known of its call; no audio is read."""
    order, call = _found(number)
    into_call = (order.placed_at - call.started_at).total_seconds()
    return {
        "number": order.number,
        "recording": call.id.hex,
        "state": call.state,
        "seconds": call.seconds,
        "placed_at_second": into_call,
    }


@shop.get("/orders/<number>/call")
def listen(number: str) -> Response:
    """Stream the call of an order; a player may ask for parts of it."""
    _, call = _found(number)
    answer = send_file(_archive().open(call.id), call.media_type, download_name=f"{number}.flac")
    answer.content_length = call.file_bytes
    answer.set_etag(call.chain_head.hex())
    return answer.make_conditional(request, accept_ranges=True, complete_length=call.file_bytes)


def _found(number: str) -> tuple[Order, Recording]:
    """Return an order and its call: by what the telephone system calls it, or by where and when it was."""
    archive = _archive()
    with Session(archive.engine) as session:
        order = session.scalars(select(Order).where(Order.number == number)).one_or_none()
    if order is None:
        abort(404, f"there is no order {number}")
    if order.placed_at.tzinfo is None:  # SQLite keeps UTC without saying so
        order.placed_at = order.placed_at.replace(tzinfo=UTC)
    if order.call_id is not None:
        calls = archive.find(external_id=order.call_id)
    else:
        calls = archive.find(source=order.desk, heard_at=order.placed_at)
    if not calls:
        abort(404, f"no call of order {number} was recorded")
    return order, calls[0]


def _archive() -> Archive:
    archive: Archive = current_app.extensions["archive"]
    return archive

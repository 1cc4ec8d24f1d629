from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from phonobase.store.tokens import create_token
from phonobase.web import Limits, Scope, create_app
from phonobase.web.tokens import Tokens
from tests.web.open_recording import leave_open

if TYPE_CHECKING:
    from schemathesis.schemas import APIOperation
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as Connection

    from phonobase import Archive

EXAMPLES = int(4 * float(os.environ.get("TORTURE", "1")))
"""How many requests of each kind are made to each operation, on each database."""

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERIOD = {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:00:03Z"}
PATIENCE_S = 0.2
ALWAYS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


class Leaving:
    """Somebody who goes away soon: what answers for as long as they are there has an end then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Passes on what is asked, and then that nobody is there any more."""
        is_whole = False

        async def received() -> Message:
            nonlocal is_whole
            if is_whole:
                await asyncio.sleep(PATIENCE_S)
                return {"type": "http.disconnect"}
            message = await receive()
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        await self._app(scope, received if scope["type"] == "http" else receive, send)


@pytest.fixture
def ids(archive: Archive) -> list[str]:
    """The ids of some recordings, one of which is open, in an archive that holds something of everything."""
    pcm = bytes(range(256)) * 100
    made = [
        archive.add(pcm, 8000, source=source, started_at=NOON + number * timedelta(seconds=2), tags={"n": 1})
        for number, source in enumerate(("desk-3", "desk-3", "reef"))
    ]
    archive.annotate(made[0].id, 0, 10, "note", "said", 0.5, author="test")
    with archive.writer(8000, source="reef", started_at=NOON + timedelta(minutes=1)) as writer:
        writer.lose(800, "overflow", "test")
    archive.add_gap("desk-3", NOON - timedelta(minutes=1), NOON, "paused")
    return [*(each.id.hex for each in made), writer.id.hex, leave_open(archive, "now", pcm).hex]


@pytest.fixture
def schema(archive: Archive) -> schemathesis.schemas.BaseSchema:
    """The API as it describes itself, of an archive that asks for tokens."""
    limits = Limits(requests_per_minute=10**9, heavy_requests_per_minute=10**9, refused_per_minute=10**9)
    app = create_app(archive, authenticate=Tokens(archive), limits=limits)
    return schemathesis.openapi.from_asgi("/api/openapi.json", Leaving(app))


def _operations(schema: schemathesis.schemas.BaseSchema) -> list[APIOperation[Any, Any, Any, Any]]:
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def _takes(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """Tells whether an operation takes anything, so that it can be wrong."""
    return any(operation.iter_parameters()) or bool(operation.body)


def _wrong(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, ids: list[str], headers: dict[str, str]
) -> str | None:
    """Returns what is wrong with the answers to many requests; None where nothing is."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        recording_id=st.sampled_from(ids),
        name=st.sampled_from(["desk-3", "reef", "now", "nobody"]),
        heard=st.booleans(),
    )
    def ask(case: schemathesis.Case[Any], recording_id: str, name: str, *, heard: bool) -> None:
        if mode is GenerationMode.POSITIVE:  # what is there is asked for more often than not
            if "recording_id" in case.path_parameters:
                case.path_parameters["recording_id"] = recording_id
            if "source" in case.query:
                case.query["source"] = name
            if heard and "to" in case.query:
                case.query |= PERIOD
        asked = checks.negative_data_rejection if mode is GenerationMode.NEGATIVE else None
        case.call_and_validate(headers=headers, checks=[*ALWAYS, *([asked] if asked else [])])

    try:
        ask()
    except FailureGroup as error:
        return f"{operation.label}: {error}"
    return None


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
def test_every_answer_is_a_described_one(
    archive: Archive, schema: schemathesis.schemas.BaseSchema, ids: list[str], mode: GenerationMode
) -> None:
    """Whatever is asked of any operation, what makes sense and what does not, it answers as described."""
    _, word = create_token(archive, "tester", Scope.ADMIN)
    headers = {"Authorization": f"Bearer {word}"}
    operations = [each for each in _operations(schema) if mode is GenerationMode.POSITIVE or _takes(each)]
    wrong = [_wrong(operation, mode, ids, headers) for operation in operations]
    assert [each for each in wrong if each is not None] == []

"""Whether the service can do what it is there for."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from phonobase.store import schema
from phonobase.web.admission import of_anybody
from phonobase.web.problems import answers_alone
from phonobase.web.site import site_of

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """The service is well."""

    status: Literal["ok"] = Field(description="always ok: otherwise the answer is a problem")


@router.get(
    "/health",
    dependencies=[Depends(of_anybody)],
    responses=answers_alone(429, 503),
    openapi_extra={"security": []},
)
def get_health(request: Request) -> Health:
    """Say whether the database answers and has the tables of this version; nobody has to say who asks."""
    archive = site_of(request).archive
    with archive.session() as session:
        session.execute(sa.text("SELECT 1"))
    schema.check(archive.engine)
    return Health(status="ok")

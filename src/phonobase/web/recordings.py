"""Recordings: found, looked at, and what is said of them changed."""

from __future__ import annotations

from typing import Any, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from phonobase.store.gaps import find_gaps_inside
from phonobase.web import shapes
from phonobase.web.finding import Searching, asked
from phonobase.web.parameters import RecordingId
from phonobase.web.problems import answers
from phonobase.web.visit import Reading, Writing

router = APIRouter(prefix="/recordings", tags=["recordings"])


class Edit(BaseModel):
    """What is to be said of a recording; what is not given stays, null and an empty text clear."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "minProperties": 1,
            "examples": [{"title": "Complaint about order 4711", "tags": {"queue": "billing"}}],
        },
    )

    title: str | None = Field(None, description="for people", max_length=1_000)
    notes: str | None = Field(None, description="for people, longer", max_length=65_536)
    external_id: str | None = Field(None, description="what it is called elsewhere", max_length=500)
    tags: dict[str, Any] = Field(
        default_factory=dict,
        description="names to values that are set; other tags stay; all are at most 65,536 bytes of JSON",
    )
    untag: list[str] = Field(
        default_factory=list,
        description="names of tags that are taken away before; unknown ones are no matter",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing is to be changed; say what, as a title")
        return self


@router.get("", responses=answers(404))
def list_recordings(search: Searching, visit: Reading) -> shapes.Recordings:
    """Find recordings, the newest first.

    All conditions are met together. A page says in `next` what `after` must be for the page behind it, which
    stays true whatever is recorded or deleted meanwhile.
    """
    found = visit.archive.find(asked(search, visit))
    return shapes.Recordings(
        recordings=[shapes.of_recording(each) for each in found],
        next=None if found.next is None else found.next.after,
    )


@router.get("/{recording_id}", responses=answers(404))
def get_recording(recording_id: RecordingId, visit: Reading) -> shapes.Recording:
    """Return what is known of a recording; no audio is read."""
    return shapes.of_recording(visit.recording(recording_id))


@router.patch("/{recording_id}", responses=answers(400, 404, 408, 413, 507))
def edit_recording(recording_id: RecordingId, edit: Edit, visit: Writing) -> shapes.Recording:
    """Change what is said of a recording, also while it is recorded, and return it as it is now."""
    visit.recording(recording_id)
    visit.detail = ", ".join(sorted(edit.model_fields_set))
    changes: Any = edit.model_dump(exclude_unset=True)
    visit.begin_change()
    return shapes.of_recording(visit.archive.edit(recording_id, **changes))


@router.get("/{recording_id}/annotations", responses=answers(404))
def list_annotations(recording_id: RecordingId, visit: Reading) -> shapes.Annotations:
    """List what people and programs say of stretches of a recording, the first to begin first."""
    visit.recording(recording_id)
    found = visit.archive.annotations(recording_id)
    return shapes.Annotations(annotations=[shapes.of_annotation(each) for each in found])


@router.get("/{recording_id}/gaps", responses=answers(404))
def list_gaps_inside(recording_id: RecordingId, visit: Reading) -> shapes.Gaps:
    """List what was not heard inside a recording, the first to begin first; silence stands for it."""
    visit.recording(recording_id)
    with visit.archive.session() as session:
        found = find_gaps_inside(session, recording_id)
    return shapes.Gaps(gaps=[shapes.of_gap(each) for each in found])

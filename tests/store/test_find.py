from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from phonobase import Archive, Conditions, Level, Query, Recording, Recordings, State
from phonobase.errors import InvalidDetails
from phonobase.store import found
from tests.store.bulk import add_recording, add_sources
from tests.store.judge import Raw, frames_of

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RATE = 1000

TAGS: list[dict[str, Any]] = [
    {},
    {"queue": "billing"},
    {"queue": "Billing", "n": 1},
    {"queue": ["billing", "sales"], "n": 1.0},
    {"queue": {"name": "billing", "levels": [1, [2, 3], {"deep": None}]}},
    {"queue": None, "n": "1"},
    {"n": True, "ü.'\"$[0]": {"a\\b": "c"}},
    {"n": 0.30000000000000004, "big": 2**53 + 1},
    {"n": 1e300, "list": []},
]
TITLES = [None, "Größe 100%", "grösse_x", "GRÖẞE", "ΣΑΣ ς", "a.b*c[d]", "K\u212a", "", "\\"]
NOTES = [None, "line\nBREAK", "'; DROP TABLE phono_recording; --", "🎧 ✓"]


def _pcm(amplitude: int, frames: int) -> bytes:
    return amplitude.to_bytes(2, "little", signed=True) * frames


@pytest.fixture(scope="module")
def filled(shared_archive: Archive) -> Archive:
    """Recordings of many lengths, levels, tags and texts, some of them at the same moment."""
    amplitudes = [0, 1, 33, 16_000, 16_500, 32_767, -32_768]
    for number in range(63):
        recording = shared_archive.add(
            _pcm(amplitudes[number % 7], 300 + 350 * (number % 9)),
            RATE,
            source="desk" if number % 3 else "o'door",
            started_at=NOON + (number // 2) * SECOND,
            title=TITLES[number % 9],
            notes=NOTES[number % 4],
            tags=TAGS[number % 8] | ({"odd": True} if number % 2 else {}),
            external_id=f"case-{number % 5}" if number % 6 else None,
            capture={"number": number},
        )
        if number % 4 == 0:
            shared_archive.annotate(recording.id, 0, 10, "speech", TITLES[number % 9], 0.5, author="a")
            shared_archive.annotate(recording.id, 5, 0, "note", "Straße", float(number % 3), author="b")
    return shared_archive


@pytest.fixture(scope="module")
def all_there_is(filled: Archive) -> list[Recording]:
    """All recordings, the newest first."""
    return filled.find(limit=None)


def _holds(there: Any, wanted: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Tells whether JSON contains JSON, as the manual of PostgreSQL describes it."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            name in there and _holds(there[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(there, list) and all(any(_holds(one, value) for one in there) for value in wanted)
    return isinstance(there, bool) == isinstance(wanted, bool) and bool(there == wanted)


def _says(content: str | None, wanted: str) -> bool:
    """Tells whether a text holds another one, letter by letter."""
    letters, sought = [one.casefold() for one in content or ""], [one.casefold() for one in wanted]
    return content is not None and any(
        letters[start : start + len(sought)] == sought for start in range(len(letters))
    )


MEETS: dict[str, Callable[[Recording, Any], bool]] = {
    "source": lambda recording, name: recording.source == name,
    "sources": lambda recording, names: recording.source in names,
    "state": lambda recording, state: recording.state is state,
    "since": lambda recording, moment: recording.started_at >= moment,
    "until": lambda recording, moment: recording.started_at < moment,
    "heard_since": lambda recording, moment: recording.ended_at > moment,
    "heard_until": lambda recording, moment: recording.started_at < moment,
    "heard_at": lambda recording, moment: recording.started_at <= moment < recording.ended_at,
    "min_seconds": lambda recording, least: Fraction(recording.frame_count, RATE) >= least,
    "max_seconds": lambda recording, most: Fraction(recording.frame_count, RATE) <= most,
    "level": lambda recording, level: {
        Level.LOUD: recording.peak_dbfs >= -6,
        Level.SILENT: recording.peak_dbfs <= -60,
        Level.CLIPPED: recording.clipped_frames > 0,
    }[level],
    "min_peak_dbfs": lambda recording, least: recording.peak_dbfs >= least,
    "max_peak_dbfs": lambda recording, most: recording.peak_dbfs <= most,
    "tags": lambda recording, tags: _holds(recording.tags, tags),
    "text": lambda recording, text: _says(recording.title, text) or _says(recording.notes, text),
    "external_id": lambda recording, name: recording.external_id == name,
    "run_id": lambda recording, run: recording.run_id == run,
}
MOMENTS = st.integers(-70, 330).map(lambda tenths: NOON + tenths * SECOND / 10)
LENGTHS = st.integers(0, 35).map(lambda tenths: Fraction(tenths, 10)) | st.floats(0, 4)
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "source": st.sampled_from(["desk", "o'door", "nobody"]),
    "sources": st.sets(st.sampled_from(["desk", "o'door", "nobody"])),
    "state": st.sampled_from(State),
    "since": MOMENTS,
    "until": MOMENTS,
    "heard_since": MOMENTS,
    "heard_until": MOMENTS,
    "heard_at": MOMENTS,
    "min_seconds": LENGTHS,
    "max_seconds": LENGTHS,
    "level": st.sampled_from(Level),
    "min_peak_dbfs": st.sampled_from([-90.31, -60.0, -6.2, -6.0, 0.0, -math.inf]),
    "max_peak_dbfs": st.sampled_from([-90.30, -60.0, -6.2, -6.0, 0.0, -math.inf]),
    "tags": st.sampled_from([*TAGS, {"odd": True}, {"n": 1}, {"n": False}, {"queue": ["sales"]}]),
    "text": st.sampled_from(
        ["GRÖSSE", "grö", "ße", "%", "_", "σας", "Σ", "k", ".", "[d]", "\n", "break", "\\"]
    ),
    "external_id": st.sampled_from(["case-1", "case-4", "CASE-1"]),
}

ORDERED = [
    ("since", "until"),
    ("heard_since", "heard_until"),
    ("min_seconds", "max_seconds"),
    ("min_peak_dbfs", "max_peak_dbfs"),
]


@settings(max_examples=150, deadline=None)
@given(asked=st.fixed_dictionaries({}, optional=CONDITIONS), limit=st.sampled_from([None, 1, 3, 10]))
def test_find_is_what_each_recording_says(
    filled: Archive, all_there_is: list[Recording], asked: dict[str, Any], limit: int | None
) -> None:
    """Any conditions together find the recordings that meet each of them, page by page, in their order."""
    expected = [one.id for one in all_there_is if all(MEETS[name](one, asked[name]) for name in asked)]
    assume(all(asked[least] <= asked[most] for least, most in ORDERED if {least, most} <= asked.keys()))
    query: Query | None = Query(limit=limit, **asked)
    seen = []
    while query is not None:
        page = filled.find(query)
        assert limit is None or len(page) <= limit
        assert (page.next is None) or len(page) == limit
        seen += [one.id for one in page]
        query = page.next
    assert seen == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "ü'\""]), JSON, max_size=3)


@settings(max_examples=120, deadline=None)
@example(there={"a": 5.6570055917486296e-297}, other={}, asked="there")
@given(there=OBJECTS, other=OBJECTS, asked=st.sampled_from(["there", "other", "a part"]))
def test_tags_are_contained_alike(
    shared_archive: Archive, there: dict[str, Any], other: dict[str, Any], asked: str
) -> None:
    """What one JSON object contains of another is the same on both databases, down to the last digit."""
    wanted = {"there": there, "other": other, "a part": dict(list(there.items())[:1])}[asked]
    recording = shared_archive.add(_pcm(1, 8), RATE, tags=there, source="json")
    try:
        found = shared_archive.find(source="json", tags=wanted)
    finally:
        shared_archive.delete(recording.id, "seen")
    assert [one.id for one in found] == ([recording.id] if _holds(there, wanted) else [])


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({"annotation_kind": "speech"}, range(60, -1, -4)),
        ({"annotation_kind": "Speech"}, []),
        ({"annotation_text": "STRAßE", "annotation_min_score": 2}, [56, 44, 32, 20, 8]),
        ({"annotation_kind": "speech", "annotation_min_score": 0.6}, []),
        ({"annotation_kind": "speech", "annotation_text": "größe"}, [48, 28, 12]),
        ({"annotation_kind": "nothing' OR 1=1 --"}, []),
    ],
)
def test_by_what_was_said_of_it(filled: Archive, conditions: dict[str, Any], numbers: list[int]) -> None:
    """One annotation must meet what is asked of annotations: its kind, what it says, its score."""
    found = filled.find(**conditions, limit=None)
    assert [one.capture["number"] for one in found] == list(numbers)


def test_by_its_run(archive: Archive) -> None:
    """The recordings of a run are found by its id, however it is written."""
    with archive.writer(RATE, run_id=UUID(int=7), run_index=3) as writer:
        writer.write(frames_of(_pcm(1, 8), 1, "int16"))
    archive.add(_pcm(1, 8), RATE)
    assert [one.id for one in archive.find(run_id=UUID(int=7))] == [writer.id]
    assert archive.find(Query(run_id=f"{7:032x}")) == archive.find(run_id=UUID(int=7))  # type: ignore[arg-type]


def test_a_page_stays_where_it_was(archive: Archive) -> None:
    """What is deleted or added in front of a place moves nothing behind it, even the recording at it."""
    made = [archive.add(_pcm(1, 8), RATE, started_at=NOON + number // 3 * SECOND) for number in range(9)]
    made.sort(key=lambda one: (one.started_at, one.id), reverse=True)
    first = archive.find(limit=4)
    assert first.next is not None
    archive.delete(first[-1].id, "seen")
    archive.delete(first[0].id, "seen")
    archive.add(_pcm(1, 8), RATE, started_at=NOON + 9 * SECOND)
    second = archive.find(first.next)
    assert [one.id for one in [*first, *second]] == [one.id for one in made[:8]]
    assert second.next is not None
    assert [one.id for one in archive.find(second.next)] == [made[8].id]
    assert archive.find(second.next).next is None
    assert archive.find(second.next, after=None, limit=1)[0].started_at == NOON + 9 * SECOND


def test_every_recording_page_after_page(filled: Archive, all_there_is: list[Recording]) -> None:
    """A walk through all that is found holds a page at a time and misses nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found, "_PAGE", 4)
        assert list(filled.walk(Query(limit=None))) == all_there_is
        for limit in (1, 4, 5, 8, 1000):
            assert list(filled.walk(source="desk", limit=limit)) == filled.find(source="desk", limit=limit)
    with pytest.raises(InvalidDetails, match="no time zone"):
        filled.walk(since=datetime(2026, 3, 1))  # noqa: DTZ001 - what is refused


def test_a_sound_of_one_frame_is_heard_at_its_moment(archive: Archive) -> None:
    """A moment is the microsecond that begins with it, to both sides."""
    one = archive.add(_pcm(1, 1), RATE, started_at=NOON)
    us = timedelta(microseconds=1)
    heard = [bool(archive.find(heard_at=NOON + at * us)) for at in (-1, 0, 1, 999, 1000)]
    assert heard == [False, True, True, True, False]
    assert archive.find(heard_since=one.ended_at - us) == [one]
    assert archive.find(heard_since=one.ended_at) == []
    assert archive.find(heard_until=NOON) == []
    assert archive.find(heard_until=NOON + us) == [one]


def test_a_days_recording_is_heard_to_its_end(archive: Archive, raw: Raw) -> None:
    """However long a recording may be, the search for its last moment looks back far enough."""
    add_sources(raw, "reef")
    day = timedelta(days=1)
    recording_id = add_recording(raw, 1, "reef", NOON, NOON + day)
    last = NOON + day - timedelta(microseconds=1)
    assert [one.id for one in archive.find(heard_at=last)] == [recording_id]
    assert [one.id for one in archive.find(heard_since=last)] == [recording_id]
    assert archive.find(heard_at=NOON + day) == []


FAR_WEST, FAR_EAST = timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    "conditions",
    [
        {"since": datetime.max.replace(tzinfo=UTC)},
        {"until": datetime.min.replace(tzinfo=UTC)},
        {"heard_at": datetime.min.replace(tzinfo=UTC)},
        {"heard_at": datetime.max.replace(tzinfo=UTC)},
        {"heard_since": datetime.max.replace(tzinfo=UTC)},
        {"heard_until": datetime.min.replace(tzinfo=UTC)},
        {"min_seconds": math.inf},
        {"max_seconds": -math.inf},
        {"min_seconds": Fraction(10**400)},
        {"min_peak_dbfs": 1e308},
        {"min_peak_dbfs": Fraction(601, 3)},
        {"source": "'; DROP TABLE phono_recording; --"},
        {"source": "%"},
        {"sources": ["%", "'; DROP TABLE phono_recording; --"]},
        {"sources": [f"nobody-{number}" for number in range(101)]},
        {"external_id": "x' OR '1'='1"},
        {"text": "***:(?i).*"},
        {"text": "ü" * 200},
        {"tags": {"'; DROP TABLE phono_recording; --": "$[0]"}},
        {"tags": {"queue": {"name": {}}}},
        {"tags": {"a": {"b": {"c": {"d": {"e": 1}}}}}},
        {"tags": {"a": [[[[[]]]]]}},
        {"tags": {str(number): number for number in range(49)}},
        {"annotation_text": "(" * 200},
    ],
    ids=lambda conditions: str(conditions)[:40],
)
def test_strange_questions_have_an_answer(filled: Archive, conditions: dict[str, Any]) -> None:
    """What looks like SQL, a pattern or the end of time is looked for as it is, and is not there."""
    assert filled.find(**conditions) == []


def test_all_of_time_is_everything(filled: Archive, all_there_is: list[Recording]) -> None:
    """The least and the largest moments and numbers leave nothing out."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    everything: list[Conditions] = [
        {"since": first, "until": last},
        {"heard_since": first, "heard_until": last},
        {"min_seconds": -math.inf, "max_seconds": math.inf},
        {"min_peak_dbfs": -math.inf, "max_peak_dbfs": math.inf},
        {"tags": {}},
    ]
    for conditions in everything:
        assert filled.find(Query(limit=None), **conditions) == all_there_is


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"since": datetime(2026, 3, 1)}, "no time zone"),  # noqa: DTZ001 - what is refused
        ({"heard_at": datetime(2026, 3, 29, 2, 30)}, "no time zone"),  # noqa: DTZ001 - what is refused
        ({"since": datetime.max.replace(tzinfo=FAR_WEST)}, "no time that anybody recorded at"),
        ({"until": datetime.min.replace(tzinfo=FAR_EAST)}, "no time that anybody recorded at"),
        ({"since": NOON + SECOND, "until": NOON}, "since .* is more than until .*swap them"),
        ({"heard_since": NOON + SECOND, "heard_until": NOON}, "heard_since .* is more than heard_until"),
        ({"min_seconds": 2, "max_seconds": 1}, "min_seconds 2 is more than max_seconds 1"),
        ({"min_seconds": math.nan}, "min_seconds is not a number"),
        ({"max_peak_dbfs": math.nan}, "max_peak_dbfs is not a number"),
        ({"state": "done"}, "'done' is no state; there are: recording, complete, interrupted"),
        ({"level": "noisy"}, "'noisy' is no level; there are: loud, silent, clipped"),
        ({"run_id": "x"}, "'x' is no run"),
        ({"source": "a\0b"}, "the source holds a character"),
        ({"source": "\udc80"}, "the source holds a character"),
        ({"sources": ["desk", "\0"]}, "the source holds a character"),
        ({"sources": ["desk", 5]}, "the source is a text; 5 is none"),
        ({"sources": "desk"}, "sources are several names; 'desk' is one"),
        ({"external_id": "\0"}, "the external_id holds a character"),
        ({"text": "\udfff"}, "the text holds a character"),
        ({"text": ""}, "the text to look for has 0 characters"),
        ({"text": "x" * 201}, "the text to look for has 201 characters"),
        ({"annotation_kind": "\0"}, "the annotation_kind holds a character"),
        ({"annotation_text": "\0"}, "the annotation_text holds a character"),
        ({"tags": {"a": "\0"}}, "tags hold a character"),
        ({"tags": {"a": {1, 2}}}, "tags must be names with JSON values"),
        ({"tags": {"a": math.inf}}, "tags must be names with JSON values"),
        ({"tags": {"a": [[[[[[]]]]]]}}, "6 levels deep at most"),
        ({"tags": {"a": list(range(51))}}, "hold 50 values"),
        ({"tags": {"a": 2**63}}, "19 digits cannot be compared"),
        ({"after": "x"}, "'x' is no place in a list"),
        ({"after": "f" * 32}, "is no place in a list"),
        ({"after": "ü"}, "is no place in a list"),
        ({"limit": 0}, "a limit of 0 is none"),
        ({"limit": -1}, "a limit of -1 is none"),
        ({"limit": 1.5}, "a limit of 1.5 is none"),
        ({"limit": True}, "a limit of True is none"),
        ({"min_peak_dbfs": 10**400}, "min_peak_dbfs is beyond all numbers"),
        ({"max_peak_dbfs": "loud"}, "max_peak_dbfs is not a number"),
        ({"annotation_min_score": "x"}, "annotation_min_score is not a number"),
        ({"min_seconds": True}, "min_seconds is not a number"),
        ({"run_id": 5}, "5 is no run"),
        ({"text": 5}, "the text is a text; 5 is none"),
        ({"source": 5}, "the source is a text; 5 is none"),
        ({"since": "yesterday"}, "'yesterday' is no time"),
        ({"after": 5}, "5 is no place in a list"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_nothing_can_meet_is_refused(filled: Archive, conditions: dict[str, Any], message: str) -> None:
    """A question without an answer is refused in words, alike on both databases, before it is asked."""
    with pytest.raises(InvalidDetails, match=message):
        filled.find(**conditions)


def test_a_query_is_a_value() -> None:
    """Two queries that ask the same are the same, whatever form their conditions were given in."""
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    one = Query(since=NOON, state=State.COMPLETE, level=Level.LOUD, run_id=UUID(int=1), tags={"a": (1,)})
    two = Query(
        since=NOON.astimezone(kathmandu),
        state="complete",  # type: ignore[arg-type] # text is taken too
        level="loud",  # type: ignore[arg-type]
        run_id="0" * 31 + "1",  # type: ignore[arg-type]
        tags={"a": [1]},
    )
    assert one == two
    assert hash(one) == hash(two)
    assert one != Query(since=NOON)
    assert repr(Query(source="x", limit=None)) == "Query(source='x', limit=None)"
    assert set(Conditions.__annotations__) == set(Query.__dataclass_fields__)


def test_recordings_are_a_list(filled: Archive) -> None:
    """What is found is a list, equal to any list of the same."""
    found = filled.find(limit=2)
    assert isinstance(found, Recordings)
    assert found == list(found)
    assert Recordings() == []
    assert Recordings().next is None

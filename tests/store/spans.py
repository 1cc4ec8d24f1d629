"""Recordings and gaps as they may stand in rows, for properties of what is made of them."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st

from phonobase.store.coverage import Heard, Missed

CAUSES = ("overflow", "paused", "device-lost")

_moments = st.integers(0, 30)


@st.composite
def stretches(draw: st.DrawFn) -> tuple[list[Heard], list[Missed]]:
    """Any recordings and gaps: overlapping, of no length, inside recordings or said to be."""

    def span() -> tuple[int, int]:
        start = draw(_moments)
        return start, draw(st.integers(start, 31))

    ids = [UUID(int=number) for number in range(draw(st.integers(0, 4)))]
    recordings = sorted(Heard(*span(), recording_id) for recording_id in ids)
    inside = st.sampled_from([None, *ids])
    count = draw(st.integers(0, 6))
    gaps = [Missed(*span(), draw(inside), draw(st.sampled_from(CAUSES))) for _ in range(count)]
    return recordings, sorted(gaps, key=lambda gap: gap.start_us)

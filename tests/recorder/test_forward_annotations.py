"""What is said of sound in a spool reaches the archive, also after the sound did, and leaves with it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from phonobase import Archive
from phonobase.recorder.forward import Pace
from tests.recorder.test_forward import Link
from tests.store.both_ends import add
from tests.store.judge import Raw, wait_until

if TYPE_CHECKING:
    from pathlib import Path

GRACE_S = 2


def test_it_is_there_before_the_spool_lets_go(tmp_path: Path, migrated_postgres_url: str) -> None:
    """An annotation goes along with its recording; one made when that was sent goes before it leaves."""
    pace = Pace(grace_s=GRACE_S, first_wait_s=0.05, longest_wait_s=0.2)
    with (
        contextlib.closing(Link(tmp_path / "spool.db", migrated_postgres_url, pace)) as link,
        Archive(migrated_postgres_url) as archive,
    ):
        old = add(link.spool, source="a")
        add(link.spool, source="a")  # the newest stays
        early = link.spool.annotate(old.id, 0, 1, "note", author="ann")
        link.start()
        wait_until(lambda: archive.annotations() == [early])
        late = link.spool.annotate(old.id, 1, 1, "note", author="ann")
        with Raw(link.our_url) as raw:
            wait_until(lambda: raw.value("SELECT count(*) FROM phono_recording") == 1)
            assert raw.value("SELECT count(*) FROM phono_annotation") == 0
        link.stop()
        assert archive.annotations() == [early, late]

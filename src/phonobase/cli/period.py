"""The period and the sources that ``gaps`` and ``coverage`` are asked about."""

from __future__ import annotations

from datetime import UTC, datetime, time

import click

from phonobase.store.archive import Archive
from phonobase.store.lookup import no_source


def day_so_far(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """Return a period, in UTC: what was asked for, or else this machine's day so far.

    It ends now at the latest: what is still to come is not lost.

    Raises:
        click.UsageError: It would end before it begins.
    """
    now = datetime.now(UTC)
    end = min(until or now, now)
    # By way of a date without a zone: midnight may have another offset than the time of day.
    begin = since or datetime.combine(end.astimezone().date(), time.min).astimezone()
    if begin > end:
        raise click.UsageError(
            f"a period that begins at {begin.isoformat(timespec='seconds')} is over at "
            f"{end.isoformat(timespec='seconds')}; --since comes before --until, and before now"
        )
    return begin.astimezone(UTC), end.astimezone(UTC)


def known(archive: Archive, source: str | None) -> list[str]:
    """Return the sources that are meant: that one, or all, where none is named.

    Raises:
        RecordingNotFound: There is no such source.
    """
    names = archive.sources()
    if source is None:
        return names
    if source not in names:
        raise no_source(source, names)
    return [source]

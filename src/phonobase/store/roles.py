"""Roles for PostgreSQL: one that reads, one that records and can change nothing complete, one that serves.

The SQL is printed, never run here: who may do what is the business of whoever runs the server.
"""

from __future__ import annotations

from phonobase.errors import InvalidDetails
from phonobase.store.models import Base
from phonobase.store.schema import VERSION_TABLE

VIEWS = ("phono_annotations", "phono_clips", "phono_coverage", "phono_gaps")
FUNCTIONS = (
    "phono_clip(uuid, double precision, double precision)",
    "phono_cut(text, timestamptz, timestamptz)",
    "phono_part(uuid, bigint, bigint)",
)
ADDED_TO = ("phono_source", "phono_recording", "phono_chunk", "phono_audio", "phono_gap", "phono_annotation")
PRIVATE = ("phono_event", "phono_session", "phono_token")
"""Who may ask over HTTP, and what was asked: no business of whoever reads recordings."""
MOVING = (
    *("ended_at", "header", "header_sha256", "state", "frame_count", "byte_count", "chunk_count"),
    *("peak_dbfs", "rms_dbfs", "clipped_frames", "pcm_sha256", "chain_head", "committed_at", "drift_ppm"),
)
"""The columns of phono_recording that change while it is recorded and when it is closed."""
SAID = ("title", "notes", "external_id", "tags")
"""The columns of phono_recording that people change."""

_LONGEST_NAME_BYTES = 63
_HEAD = """\
-- Rights on phonobase's tables. Run it as their owner who may make roles, again after each upgrade:
--     phonobase db roles | psql -v ON_ERROR_STOP=1 DATABASE
-- A role is given to a user with: GRANT role TO user;
BEGIN;
"""


def sql(
    schema: str, *, reader: str | None = None, recorder: str | None = None, server: str | None = None
) -> str:
    """Return the SQL that makes roles, unless they are there, and gives each exactly its rights.

    Args:
        schema: Where the tables are.
        reader: Name of the role that reads all recordings and writes nothing; None for no such role.
        recorder: Name of the role that reads all recordings, adds sources, recordings, gaps and annotations,
            and moves on the recordings that are not complete; None for no such role.
        server: Name of the role that serves the archive over HTTP: it may what a recorder may, change what
            people say of recordings, look tokens up, begin and end sessions, and write the log of access, in
            which it reads and changes nothing; None for no such role.

    Raises:
        InvalidDetails: PostgreSQL takes no such name.
    """
    place = _identifier(schema)
    everything = [*Base.metadata.tables, VERSION_TABLE, *VIEWS]
    tables = [f"{place}.{name}" for name in sorted(everything)]
    read = [f"{place}.{name}" for name in sorted(set(everything) - set(PRIVATE))]
    functions = [f"{place}.{name}" for name in FUNCTIONS]
    parts = [_HEAD]
    for name in (reader, recorder, server):
        if name is not None:
            parts += _reading(name, place, tables, read, functions)
    for name in (recorder, server):
        if name is not None:
            parts += _adding(name, place)
    if server is not None:
        parts += _serving(server, place)
    return "".join([*parts, "COMMIT;\n"])


def _adding(name: str, place: str) -> list[str]:
    role = _identifier(name)
    added_to = ", ".join(f"{place}.{table}" for table in ADDED_TO)
    return [
        f"GRANT INSERT ON {added_to} TO {role};\n",
        f"GRANT UPDATE ({', '.join(MOVING)}) ON {place}.phono_recording TO {role};\n",
    ]


def _serving(name: str, place: str) -> list[str]:
    role = _identifier(name)
    return [
        f"GRANT UPDATE ({', '.join(SAID)}) ON {place}.phono_recording TO {role};\n",
        f"GRANT SELECT ON {place}.phono_token TO {role};\n",
        f"GRANT SELECT, INSERT, DELETE ON {place}.phono_session TO {role};\n",
        f"GRANT INSERT ON {place}.phono_event TO {role};\n",
    ]


def _reading(name: str, place: str, tables: list[str], read: list[str], functions: list[str]) -> list[str]:
    role = _identifier(name)
    make = (
        f"BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(name)})"
        f" THEN CREATE ROLE {role}; END IF; END"
    )
    # Of an owner the rights below would be taken, or mean nothing.
    refuse_owner = (
        f"BEGIN IF (SELECT pg_has_role({_literal(name)}, relowner, 'MEMBER')"  # noqa: S608 - quoted names
        f" FROM pg_class WHERE oid = {_literal(tables[0])}::regclass)"
        " THEN RAISE 'this role owns the tables or is a superuser; name another'; END IF; END"
    )
    return [
        f"DO {_literal(make)};\n",
        f"DO {_literal(refuse_owner)};\n",
        f"REVOKE ALL ON {', '.join(tables)} FROM {role};\n",
        f"GRANT USAGE ON SCHEMA {place} TO {role};\n",
        f"GRANT SELECT ON {', '.join(read)} TO {role};\n",
        f"GRANT EXECUTE ON FUNCTION {', '.join(functions)} TO {role};\n",
    ]


def _identifier(name: str) -> str:
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > _LONGEST_NAME_BYTES:
        raise InvalidDetails(
            f"{name!r} cannot name a role or a schema; use 1 to {_LONGEST_NAME_BYTES} printable characters"
        )
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

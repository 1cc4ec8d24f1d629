"""What a database says of the tables, views and functions in it."""

from __future__ import annotations

from tests.store.judge import Program


def definitions(url: str) -> list[str]:
    """Returns all that the database says of its tables, views and functions, by its own program."""
    program = Program(url)
    if program.is_sqlite:
        found = program.lines(
            "SELECT type, name, tbl_name, replace(sql, char(10), ' ') FROM sqlite_master ORDER BY type, name"
        )
        return [" ".join(line.split()) for line in found]
    return [
        *program.lines(
            "SELECT table_name, column_name, data_type, is_nullable, column_default"
            " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position"
        ),
        *program.lines(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 1"
        ),
        *program.lines("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
        *program.lines(
            "SELECT pg_get_functiondef(oid) FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        ),
        *program.lines("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"),
        *program.lines("SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1"),
        *program.lines(
            "SELECT attrelid::regclass::text, attname, attstorage, col_description(attrelid, attnum)"
            " FROM pg_attribute WHERE attrelid::regclass::text LIKE 'phono%' AND attnum > 0"
            " AND NOT attisdropped ORDER BY 1, 2"
        ),
    ]

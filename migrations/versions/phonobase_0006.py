"""Guards on PostgreSQL: who may only move recordings on neither changes, adds to nor shortens complete ones.

A role has that right by grants on columns (`phonobase db roles` prints them); whoever may update the whole
table, as its owner may, is not concerned.
"""

from __future__ import annotations

from alembic import op

revision = "phonobase_0006"
down_revision = "phonobase_0005"
branch_labels = None
depends_on = None

_MOVES_ON = """
CREATE FUNCTION phono_moves_on() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.state = 'complete' OR NEW.chunk_count < OLD.chunk_count)
        AND NOT has_table_privilege(TG_RELID, 'UPDATE')
    THEN
        RAISE USING ERRCODE = 'insufficient_privilege', MESSAGE = concat(
            'recording ', OLD.id, ' is complete or would get shorter, and ', current_user,
            ' may only move recordings on'
        );
    END IF;
    RETURN NEW;
END
$$
"""
_GUARD = """
CREATE TRIGGER phono_moves_on BEFORE UPDATE OF
    ended_at, header, header_sha256, state, frame_count, byte_count, chunk_count, peak_dbfs, rms_dbfs,
    clipped_frames, pcm_sha256, chain_head, committed_at, drift_ppm
ON phono_recording
FOR EACH ROW EXECUTE FUNCTION phono_moves_on()
"""
# What came to be complete in this very transaction still gets its chunks and gaps: a recording's row comes
# first. Whoever may only move it on gives no complete one a place anew.
_ADDS_TO = """
CREATE FUNCTION phono_adds_to() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT has_table_privilege('phono_recording'::regclass, 'UPDATE') AND EXISTS (
        SELECT FROM phono_recording AS r LEFT JOIN phono_commit AS c ON c.recording_id = r.id
        WHERE r.id = NEW.recording_id AND r.state = 'complete'
            AND c.place IS DISTINCT FROM pg_current_xact_id()::text::bigint
    ) THEN
        RAISE USING ERRCODE = 'insufficient_privilege', MESSAGE = concat(
            'recording ', NEW.recording_id, ' is complete, and ', current_user, ' may not add to it'
        );
    END IF;
    RETURN NULL;
END
$$
"""
# After the insert: what is there already, and is sent again, adds nothing.
_ADDITION = """
CREATE TRIGGER phono_adds_to AFTER INSERT ON {table}
FOR EACH ROW WHEN (NEW.recording_id IS NOT NULL) EXECUTE FUNCTION phono_adds_to()
"""
_PARTS = ("phono_chunk", "phono_audio", "phono_gap")

# So that nobody's function or table comes before those that are meant.
_PIN = """
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION {function}() SET search_path = '
        || quote_ident(current_schema()) || ', pg_temp';
END $$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(_MOVES_ON)
        op.execute(_PIN.format(function="phono_moves_on"))
        op.execute(_GUARD)
        op.execute(_ADDS_TO)
        op.execute(_PIN.format(function="phono_adds_to"))
        for table in _PARTS:
            op.execute(_ADDITION.format(table=table))


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in _PARTS:
            op.execute(f"DROP TRIGGER phono_adds_to ON {table}")
        op.execute("DROP FUNCTION phono_adds_to()")
        op.execute("DROP TRIGGER phono_moves_on ON phono_recording")
        op.execute("DROP FUNCTION phono_moves_on()")

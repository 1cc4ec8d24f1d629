"""A guard on PostgreSQL: who may only move recordings on neither changes complete ones nor shortens any.

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


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(_MOVES_ON)
        op.execute(_GUARD)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER phono_moves_on ON phono_recording")
        op.execute("DROP FUNCTION phono_moves_on()")

"""Annotations, and the order of commits that followers of an archive go by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "phonobase_0003"
down_revision = "phonobase_0002"
branch_labels = None
depends_on = None

_UTC = sa.DateTime(timezone=True)
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# A transaction's id says nothing of the order of commits by itself; with the snapshots that a follower
# remembers it says exactly what is new. The definer's rights are used, so that whoever may write recordings
# needs none on this table; and so the path is pinned, that nobody's temporary table comes before it.
_NOTE_COMMIT_POSTGRESQL = """
CREATE FUNCTION phono_note_commit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM phono_commit WHERE recording_id = OLD.id;
        RETURN NULL;
    END IF;
    INSERT INTO phono_commit (recording_id, place)
    VALUES (NEW.id, pg_current_xact_id()::text::bigint)
    ON CONFLICT (recording_id) DO UPDATE SET place = excluded.place;
    PERFORM pg_notify('phono_commit', NEW.source);
    RETURN NULL;
END
$$
"""
_PIN = """
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION phono_note_commit() SET search_path = '
        || quote_ident(current_schema()) || ', pg_temp';
END $$
"""
# Nobody else puts it on a table of their own: with the definer's rights it would forget a commit.
_KEEP = "REVOKE EXECUTE ON FUNCTION phono_note_commit() FROM PUBLIC"
# A statement that leaves all as it was makes nothing new: what is complete would come again.
_TRIGGERS_POSTGRESQL = (
    """
CREATE TRIGGER phono_commit_insert AFTER INSERT ON phono_recording
FOR EACH ROW EXECUTE FUNCTION phono_note_commit()
""",
    """
CREATE TRIGGER phono_commit_update AFTER UPDATE OF chunk_count, state ON phono_recording FOR EACH ROW
WHEN (OLD.chunk_count <> NEW.chunk_count OR OLD.state <> NEW.state) EXECUTE FUNCTION phono_note_commit()
""",
    """
CREATE TRIGGER phono_commit_delete AFTER DELETE ON phono_recording
FOR EACH ROW EXECUTE FUNCTION phono_note_commit()
""",
)

# The row with the highest number stays, even where its recording goes: numbers are never given twice.
_NOTE_COMMIT_SQLITE = """
    INSERT INTO phono_commit (recording_id, place)
    SELECT NEW.id, coalesce(max(place), 0) + 1 FROM phono_commit WHERE true
    ON CONFLICT (recording_id) DO UPDATE SET place = excluded.place;
"""
_TRIGGERS_SQLITE = (
    f"CREATE TRIGGER phono_commit_insert AFTER INSERT ON phono_recording BEGIN {_NOTE_COMMIT_SQLITE} END",
    f"""
CREATE TRIGGER phono_commit_update AFTER UPDATE OF chunk_count, state ON phono_recording
WHEN OLD.chunk_count <> NEW.chunk_count OR OLD.state <> NEW.state
BEGIN {_NOTE_COMMIT_SQLITE} END
""",
    """
CREATE TRIGGER phono_commit_delete AFTER DELETE ON phono_recording BEGIN
    DELETE FROM phono_commit
    WHERE recording_id = OLD.id AND place < (SELECT max(place) FROM phono_commit);
END
""",
)


def upgrade() -> None:
    op.create_table(
        "phono_annotation",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUID version 7 whose time is created_at"),
        sa.Column("recording_id", sa.Uuid(), nullable=False, comment="the recording it speaks of"),
        sa.Column("first_frame", _BIG, nullable=False, comment="frames of the recording before the stretch"),
        sa.Column("frame_count", _BIG, nullable=False, comment="frames in the stretch; 0 for a moment"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="what sort of thing is said: note, label, transcript, speech",
        ),
        sa.Column("text", sa.Text(), nullable=True, comment="what is said, in words"),
        sa.Column(
            "score",
            sa.Double(),
            nullable=True,
            comment="how sure or how strong, on the author's own scale",
        ),
        sa.Column(
            "author",
            sa.Text(),
            nullable=False,
            comment="who says it: a person, or a program and its version",
        ),
        sa.Column("created_at", _UTC, nullable=False, comment="when it was said"),
        sa.CheckConstraint("first_frame >= 0", name=op.f("ck_phono_annotation_first_frame_range")),
        sa.CheckConstraint("frame_count >= 0", name=op.f("ck_phono_annotation_frame_count_range")),
        sa.CheckConstraint("length(kind) BETWEEN 1 AND 100", name=op.f("ck_phono_annotation_kind_length")),
        sa.CheckConstraint(
            "length(author) BETWEEN 1 AND 200", name=op.f("ck_phono_annotation_author_length")
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["phono_recording.id"],
            name="fk_phono_annotation_recording_id_phono_recording",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phono_annotation"),
    )
    op.create_index(
        "ix_phono_annotation_recording_id_first_frame", "phono_annotation", ["recording_id", "first_frame"]
    )
    op.create_index("ix_phono_annotation_kind_recording_id", "phono_annotation", ["kind", "recording_id"])
    op.create_table(
        "phono_commit",
        sa.Column("recording_id", sa.Uuid(), nullable=False, comment="the recording"),
        sa.Column(
            "place",
            _BIG,
            nullable=False,
            comment="PostgreSQL: the transaction's id; SQLite: a number that only rises",
        ),
        sa.PrimaryKeyConstraint("recording_id", name="pk_phono_commit"),
    )
    if op.get_context().dialect.name == "postgresql":
        place = "pg_current_xact_id()::text::bigint"
        triggers: tuple[str, ...] = (_NOTE_COMMIT_POSTGRESQL, _PIN, _KEEP, *_TRIGGERS_POSTGRESQL)
    else:
        place, triggers = "1", _TRIGGERS_SQLITE
    op.execute(f"INSERT INTO phono_commit (recording_id, place) SELECT id, {place} FROM phono_recording")
    op.create_index("ix_phono_commit_place_recording_id", "phono_commit", ["place", "recording_id"])
    op.create_index(
        "ix_phono_recording_interrupted",
        "phono_recording",
        ["started_at"],
        sqlite_where=sa.text("state = 'interrupted'"),
        postgresql_where=sa.text("state = 'interrupted'"),
    )
    for trigger in triggers:
        op.execute(trigger)


def downgrade() -> None:
    is_postgresql = op.get_context().dialect.name == "postgresql"
    on_table = " ON phono_recording" if is_postgresql else ""
    for name in ("phono_commit_insert", "phono_commit_update", "phono_commit_delete"):
        op.execute(f"DROP TRIGGER {name}{on_table}")
    if is_postgresql:
        op.execute("DROP FUNCTION phono_note_commit()")
    op.drop_index("ix_phono_recording_interrupted", "phono_recording")
    op.drop_table("phono_commit")
    op.drop_table("phono_annotation")

"""Who may ask over HTTP, and what was asked: tokens, sessions of browsers, and the log of access."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "phonobase_0007"
down_revision = "phonobase_0006"
branch_labels = None
depends_on = None

_UTC = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "phono_token",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUID version 7 whose time is created_at"),
        sa.Column("name", sa.Text(), nullable=False, comment="whose it is: a person, or a program"),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False, comment="SHA-256 of its secret"),
        sa.Column("scope", sa.Text(), nullable=False, comment="read, write or admin; each includes the last"),
        sa.Column(
            "sources", _JSON, nullable=True, comment="list of the sources it is for; all of them, if null"
        ),
        sa.Column("created_at", _UTC, nullable=False, comment="when it was made"),
        sa.Column("expires_at", _UTC, nullable=True, comment="when it ends; never, if null"),
        sa.Column("revoked_at", _UTC, nullable=True, comment="when it was taken back, if it was"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_phono_token_name_length")),
        sa.CheckConstraint("length(secret_sha256) = 32", name=op.f("ck_phono_token_secret_sha256_length")),
        sa.CheckConstraint("scope IN ('read', 'write', 'admin')", name=op.f("ck_phono_token_scope_known")),
        sa.PrimaryKeyConstraint("id", name="pk_phono_token"),
    )
    op.create_table(
        "phono_session",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUID version 7 whose time is created_at"),
        sa.Column("token_id", sa.Uuid(), nullable=False, comment="the token it was begun with"),
        sa.Column(
            "secret_sha256", sa.LargeBinary(), nullable=False, comment="SHA-256 of the cookie's secret"
        ),
        sa.Column("created_at", _UTC, nullable=False, comment="when it began"),
        sa.Column("expires_at", _UTC, nullable=False, comment="when it ends"),
        sa.CheckConstraint("length(secret_sha256) = 32", name=op.f("ck_phono_session_secret_sha256_length")),
        sa.ForeignKeyConstraint(
            ["token_id"],
            ["phono_token.id"],
            name="fk_phono_session_token_id_phono_token",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phono_session"),
    )
    op.create_index("ix_phono_session_token_id", "phono_session", ["token_id"])
    op.create_table(
        "phono_event",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUID version 7 whose time is at"),
        sa.Column("at", _UTC, nullable=False, comment="UTC when it was asked for"),
        sa.Column("who", sa.Text(), nullable=True, comment="name of who asked, if it is known"),
        sa.Column("token_id", sa.Uuid(), nullable=True, comment="the token they showed, if any"),
        sa.Column("address", sa.Text(), nullable=True, comment="network address the request came from"),
        sa.Column("action", sa.Text(), nullable=False, comment="what was asked for: get_audio, edit, upload"),
        sa.Column("source", sa.Text(), nullable=True, comment="the source it concerned, if one"),
        sa.Column("recording_id", sa.Uuid(), nullable=True, comment="the recording it concerned, if one"),
        sa.Column("detail", sa.Text(), nullable=True, comment="more: a range of bytes, what was changed"),
        sa.Column(
            "status",
            sa.Integer(),
            nullable=False,
            comment="HTTP status it was answered with; 102 for a change before it is made",
        ),
        sa.CheckConstraint("length(action) BETWEEN 1 AND 100", name=op.f("ck_phono_event_action_length")),
        sa.CheckConstraint("status BETWEEN 100 AND 599", name=op.f("ck_phono_event_status_range")),
        sa.PrimaryKeyConstraint("id", name="pk_phono_event"),
    )
    op.create_index("ix_phono_event_at", "phono_event", ["at"])
    op.create_index("ix_phono_event_recording_id", "phono_event", ["recording_id"])


def downgrade() -> None:
    op.drop_table("phono_event")
    op.drop_table("phono_session")
    op.drop_table("phono_token")

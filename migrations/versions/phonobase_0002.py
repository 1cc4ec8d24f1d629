"""The drift of the sample clock, and an index that finds how far a source's gaps reach."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "phonobase_0002"
down_revision = "phonobase_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # As single statements on SQLite too: a table that is rebuilt would be emptied first, against the
    # foreign keys that lead to it.
    op.add_column(
        "phono_recording",
        sa.Column(
            "drift_ppm",
            sa.Double(),
            nullable=True,
            comment="sample clock against the system's, in parts per million, positive is fast; "
            "set when closed, where it was measured",
        ),
    )
    op.create_index(
        "ix_phono_gap_source_ended_at_started_at",
        "phono_gap",
        ["source", "ended_at", "started_at"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_phono_gap_source_ended_at_started_at", table_name="phono_gap")
    op.drop_column("phono_recording", "drift_ppm")

"""Events that are heard many at a time, and what followers were told of a track, found by the track."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Create them; jobs that are queued already are done as before."""
    op.create_table(
        "event_queue",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("kind", "event_id", name="pk_event_queue"),
        sqlite_with_rowid=False,
    )
    where = sa.text("type = 'track_released'")
    op.create_index(
        "ix_notifications_released",
        "notifications",
        ["subject_id"],
        sqlite_where=where,
        postgresql_where=where,
    )

"""Packed weeks of plays, whose track each play is that waits to be added up, and how much there is."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Create them; weeks are packed by the job that packs, and what there is is counted once."""
    op.create_table(
        "play_scopes",
        sa.Column("scope", Id, primary_key=True),
        sa.Column("through", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "play_weeks",
        sa.Column("scope", Id, nullable=False),
        sa.Column("week", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("plays", "heard_ms", "parts")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("facets", "ends")),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("quarters", "sketch")),
        sa.PrimaryKeyConstraint("scope", "week", name="pk_play_weeks"),
        sqlite_with_rowid=False,
    )
    op.add_column("fresh_plays", sa.Column("track_id", Id))
    op.execute(
        "UPDATE fresh_plays SET track_id = "
        "(SELECT track_id FROM listeners WHERE listeners.id = fresh_plays.listener_id)"
    )
    op.create_index("ix_fresh_plays_track_id", "fresh_plays", ["track_id"])
    op.create_table(
        "user_counts",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO user_counts (scope, total) SELECT '', COUNT(*) FROM users")
    op.execute("INSERT INTO track_counts (scope, total) SELECT '*', COUNT(*) FROM tracks")

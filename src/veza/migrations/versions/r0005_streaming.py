"""Where the pieces of renditions lie, what can be heard early, and covers that were uploaded."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add them."""
    op.add_column("renditions", sa.Column("layout", sa.Text))
    op.create_table(
        "early",
        sa.Column(
            "track_id",
            Id,
            sa.ForeignKey("tracks.id", name="fk_early_track_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("pieces", sa.Text, nullable=False),
    )
    op.create_table(
        "track_covers",
        sa.Column(
            "track_id",
            Id,
            sa.ForeignKey("tracks.id", name="fk_track_covers_track_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("folder", sa.Text, nullable=False),
    )

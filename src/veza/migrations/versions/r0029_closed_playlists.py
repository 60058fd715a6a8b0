"""Playlists that are closed while their owner is suspended."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add the column."""
    op.add_column("playlists", sa.Column("closed", sa.Boolean, nullable=False, server_default=sa.false()))

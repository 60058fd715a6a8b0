"""Tags of tracks."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add them; no track has any yet."""
    op.add_column("tracks", sa.Column("tags", sa.Text, nullable=False, server_default="[]"))

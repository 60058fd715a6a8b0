"""Since when a job waits for a part that is away."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the column; of what waits now, nothing is known."""
    op.add_column("jobs", sa.Column("away_since", sa.BigInteger))

"""Products that were taken down."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    """Say of each product that it was not."""
    op.add_column("products", sa.Column("taken_down_at", sa.BigInteger))

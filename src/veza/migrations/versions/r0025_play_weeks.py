"""How many users and tracks there are."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Count them once; from now on whoever makes one counts it."""
    op.create_table(
        "user_counts",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO user_counts (scope, total) SELECT '', COUNT(*) FROM users")
    op.execute("INSERT INTO track_counts (scope, total) SELECT '*', COUNT(*) FROM tracks")

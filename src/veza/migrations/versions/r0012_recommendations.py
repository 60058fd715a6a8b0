"""Models of what to recommend; what a member heard, the latest met first."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id, Time

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "recommendation_models",
        sa.Column("id", Id, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("learned_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recommendation_models"),
    )
    op.create_index("ix_listeners_user_id_id", "listeners", ["user_id", "id"])
    op.drop_index("ix_listeners_user_id", "listeners")

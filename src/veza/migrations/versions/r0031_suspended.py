"""The suspended are found without looking through all accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the index, in which nearly nobody is."""
    suspended = sa.text("suspended_at IS NOT NULL")
    op.create_index("ix_users_suspended", "users", ["id"], sqlite_where=suspended, postgresql_where=suspended)

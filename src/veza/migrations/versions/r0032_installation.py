"""Which storage is whose: the id of the installation, which its storage carries as well."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Make the table; its one row is written by the first start."""
    op.create_table(
        "installation",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("stamped_at", sa.BigInteger),
    )

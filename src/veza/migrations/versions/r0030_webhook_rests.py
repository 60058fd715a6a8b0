"""Until when receivers of webhooks are to be left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add the columns."""
    for name in ("rests_from", "rests_until"):
        op.add_column("webhook_queues", sa.Column(name, sa.BigInteger))

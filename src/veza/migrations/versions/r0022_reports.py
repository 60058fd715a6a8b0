"""Reports by users; tracks that are withheld from all but their owner, by moderators or with a suspension."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Create the table, and the columns."""
    op.add_column("tracks", sa.Column("withheld", sa.Text))
    op.add_column("tracks", sa.Column("closed", sa.Boolean, nullable=False, server_default=sa.false()))
    reporter = sa.ForeignKey("users.id", name="fk_reports_reporter_id", ondelete="CASCADE")
    op.create_table(
        "reports",
        sa.Column("id", Id, nullable=False),
        sa.Column("reporter_id", Id, reporter, nullable=False),
        sa.Column("target_type", sa.Text, nullable=False),
        sa.Column("target_id", Id, nullable=False),
        sa.Column("owner_id", Id),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("details", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("resolved_by", Id),
        sa.Column("action", sa.Text),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
    )
    waiting = sa.text("resolved_at IS NULL")
    op.create_index(
        "uq_reports_reporter_id_target_type_target_id",
        "reports",
        ["reporter_id", "target_type", "target_id"],
        unique=True,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("ix_reports_target", "reports", ["target_type", "target_id"])
    op.create_index("ix_reports_created_at", "reports", ["created_at", "id"])
    op.create_index("ix_reports_reporter_id", "reports", ["reporter_id"])

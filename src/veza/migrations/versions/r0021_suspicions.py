"""What looks like an attack in the log: signs of it, and what was found. Why somebody is suspended."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Create the tables, and the column."""
    op.add_column("users", sa.Column("suspended_reason", sa.Text))
    op.create_table(
        "audit_signs",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "key")),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("user_id", Id),
        sa.Column("ip", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", "seq", name="pk_audit_signs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_signs_at", "audit_signs", ["at"])
    op.create_table(
        "audit_findings",
        sa.Column("id", Id, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "key", "severity")),
        sa.Column("user_id", Id),
        sa.Column("ip_address", sa.Text),
        sa.Column("count", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("first_seen", "last_seen")),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", Id),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_audit_findings"),
    )
    op.create_index("ix_audit_findings_kind_key", "audit_findings", ["kind", "key", "last_seen"])
    op.create_index("ix_audit_findings_last_seen", "audit_findings", ["last_seen", "id"])
    op.create_index("ix_audit_findings_user_id", "audit_findings", ["user_id", "last_seen", "id"])
    op.create_table(
        "audit_watch",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_watch"),
    )

"""Webhooks: hooks, their queues, and deliveries."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "webhooks",
        sa.Column("id", Id, primary_key=True),
        sa.Column(
            "user_id",
            Id,
            sa.ForeignKey("users.id", name="fk_webhooks_user_id", ondelete="CASCADE"),
            nullable=False,
        ),
        *_texts("url", "description", "events"),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        *_numbers("enabled_since"),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("keys", sa.LargeBinary, nullable=False),
        *_numbers("created_at", "updated_at"),
    )
    op.create_index("ix_webhooks_user_id_id", "webhooks", ["user_id", "id"])
    op.create_table(
        "webhook_queues",
        sa.Column("webhook_id", Id, primary_key=True),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("leased_until", sa.BigInteger),
        *_numbers("lease", "failures"),
        sa.Column("failing_since", sa.BigInteger),
        *_numbers("delivered", "failed"),
        sqlite_with_rowid=False,
    )
    _partial("ix_webhook_queues_due_at", "webhook_queues", ["due_at"], "due_at IS NOT NULL")
    _deliveries()


def _deliveries() -> None:
    table = "webhook_deliveries"
    op.create_table(
        table,
        sa.Column("webhook_id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        *_texts("kind", "data"),
        *_numbers("event_at"),
        *_texts("status"),
        *_numbers("queued_at"),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        *_texts("attempts"),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.Text),
        sa.Column("concluded_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("webhook_id", "event_id", name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_webhook_id_status", table, ["webhook_id", "status", "event_id"])
    _partial(f"ix_{table}_waiting", table, ["webhook_id", "due_at"], "status = 'waiting'")
    _partial(f"ix_{table}_fresh", table, ["event_id"], "status = 'fresh'")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))

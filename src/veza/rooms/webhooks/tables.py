"""Hooks, what is due for each, and every delivery of the last month."""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    # The names of events, in order; `*` for all.
    sa.Column("events", Json(list[str]), nullable=False),
    sa.Column("ordered", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    # What was to be delivered before is not delivered any more: a hook that is turned on again begins anew.
    sa.Column("enabled_since", Time, nullable=False),
    # Why it is off: `owner`, `failing` or `gone`.
    sa.Column("disabled_reason", sa.Text),
    # The API key, and the secrets that sign: sealed.
    sa.Column("keys", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Index("ix_webhooks_user_id_id", "user_id", "id"),
)

# Apart from the hooks, which change so rarely that they are remembered.
webhook_queues = sa.Table(
    "webhook_queues",
    metadata,
    sa.Column("webhook_id", Id, primary_key=True),
    # When there is something to deliver next; None while there is nothing.
    sa.Column("due_at", Time),
    # Whoever works on it, and until when; the number fences one that was thought dead.
    sa.Column("leased_until", Time),
    sa.Column("lease", sa.BigInteger, nullable=False),
    # Attempts that failed one after the other, and since when.
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("failing_since", Time),
    # Its receiver is to be left alone, whatever happens: since when, and until when.
    sa.Column("rests_from", Time),
    sa.Column("rests_until", Time),
    # How many deliveries have ended well, and how many were given up.
    sa.Column("delivered", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Index(
        "ix_webhook_queues_due_at", "due_at",
        sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)  # fmt: skip

# No foreign key: those of a hook that is gone are removed in pieces, and writing one holds nobody up.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("webhook_id", Id, nullable=False),
    # The delivery's own id as well, and the `webhook-id` of each attempt: a hook hears of an event once.
    sa.Column("event_id", Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # The event's fields; what is told of them is read when it is sent.
    sa.Column("data", Json, nullable=False),
    sa.Column("event_at", Time, nullable=False),
    # fresh: written, and nobody was told; waiting; then delivered, failed, or skipped: was not to be sent.
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("queued_at", Time, nullable=False),
    sa.Column("due_at", Time),
    # How often it was tried since it was queued; the list below is of all attempts there ever were.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("attempts", Json, nullable=False),
    # Of the last attempt, without the API key.
    sa.Column("headers", Json(dict[str, str])),
    sa.Column("body", sa.Text),
    sa.Column("concluded_at", Time),
    sa.PrimaryKeyConstraint("webhook_id", "event_id"),
    sa.Index("ix_webhook_deliveries_webhook_id_status", "webhook_id", "status", "event_id"),
    sa.Index(
        "ix_webhook_deliveries_waiting", "webhook_id", "due_at",
        sqlite_where=sa.text("status = 'waiting'"), postgresql_where=sa.text("status = 'waiting'"),
    ),
    sa.Index(
        "ix_webhook_deliveries_fresh", "event_id",
        sqlite_where=sa.text("status = 'fresh'"), postgresql_where=sa.text("status = 'fresh'"),
    ),
)  # fmt: skip

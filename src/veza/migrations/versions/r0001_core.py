"""The tables that every room leans on: events, jobs, kept answers."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "events",
        sa.Column("id", Id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("actor_id", Id),
        sa.Column("ip", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_events_kind_created_at", "events", ["kind", "created_at"])
    op.create_table(
        "jobs",
        sa.Column("id", Id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("run_at", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("unique_key", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("dead_at", sa.BigInteger),
        sa.UniqueConstraint("unique_key", name="uq_jobs_unique_key"),
    )
    alive = sa.text("dead_at IS NULL")
    op.create_index(
        "ix_jobs_lane_run_at", "jobs", ["lane", "run_at"], sqlite_where=alive, postgresql_where=alive
    )
    op.create_table(
        "kept_answers",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_id", "route", "key", name="uq_kept_answers_user_id_route_key"),
    )
    op.create_index("ix_kept_answers_created_at", "kept_answers", ["created_at"])

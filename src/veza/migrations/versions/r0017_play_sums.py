"""The sums of plays that artists look at, what is not yet in them (at first, all plays), and events."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0017"
down_revision = "0016"

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create them; what was heard before is told anew, and summed up by the job that sums up."""
    op.create_table(
        "fresh_plays",
        sa.Column("id", Id, primary_key=True),
        sa.Column("listener_id", _Number, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("plays", sa.Integer, nullable=False),
        sa.Column("heard_ms", sa.BigInteger, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("part_before", sa.Integer),
        sa.Column("device", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("country", sa.Text),
    )
    _sums("play_quarters", "quarter", *_numbers("plays", "heard_ms", "parts"))
    _sums("play_facets", "day", *_texts("facet", "value"), *_numbers("plays"), key=("facet", "value"))
    _sums(
        "play_ends", "day", sa.Column("step", sa.Integer, nullable=False), *_numbers("plays"), key=("step",)
    )
    _sums("play_listeners", "day", sa.Column("sketch", sa.LargeBinary, nullable=False))
    op.create_table(
        "fans",
        *_people("artist_id", "user_id"),
        *_numbers("plays", "heard_ms"),
        sa.PrimaryKeyConstraint("artist_id", "user_id", name="pk_fans"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_fans_artist_id_plays", "fans", ["artist_id", "plays"])
    op.create_index("ix_fans_user_id", "fans", ["user_id"])
    op.create_table(
        "analytics_events",
        sa.Column("id", Id, primary_key=True),
        sa.Column(
            "user_id",
            Id,
            sa.ForeignKey("users.id", name="fk_analytics_events_user_id", ondelete="CASCADE"),
            nullable=False,
        ),
        *_texts("event_name", "payload"),
        *_numbers("created_at"),
    )
    op.create_index("ix_analytics_events_user_id", "analytics_events", ["user_id"])
    op.create_index(
        "ix_analytics_events_created_at", "analytics_events", ["created_at", "event_name", "user_id"]
    )
    op.execute(
        "INSERT INTO fresh_plays (id, listener_id, at, plays, heard_ms, part, device) "
        "SELECT id, listener_id, at, 1, heard_ms, part, device FROM plays"
    )


def _sums(table: str, span: str, *columns: sa.Column[Any], key: tuple[str, ...] = ()) -> None:
    op.create_table(
        table,
        sa.Column("scope", Id, nullable=False),
        sa.Column(span, sa.Integer, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("scope", span, *key, name=f"pk_{table}"),
        sqlite_with_rowid=False,
    )


def _numbers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _people(*names: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(
            name, Id, sa.ForeignKey("users.id", name=f"fk_fans_{name}", ondelete="CASCADE"), nullable=False
        )
        for name in names
    ]

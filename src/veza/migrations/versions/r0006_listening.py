"""Likes, plays with their sums, and comments."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0006"
down_revision = "0005"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create them."""
    _likes()
    _plays()
    _comments()


def _likes() -> None:
    op.create_table(
        "likes",
        sa.Column("track_id", Id, nullable=False),
        _user("likes", nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("track_id", "user_id", name="pk_likes"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_likes_track_id_created_at", "likes", ["track_id", "created_at", "user_id"])
    op.create_index("ix_likes_user_id_created_at", "likes", ["user_id", "created_at"])


def _plays() -> None:
    track = sa.ForeignKey("tracks.id", name="fk_track_stats_track_id", ondelete="CASCADE")
    op.create_table(
        "track_stats",
        sa.Column("track_id", Id, track, primary_key=True),
        *_numbers("plays", "listeners", "heard_ms", "parts", "charted", "shown"),
        sqlite_with_rowid=False,
    )
    behind = sa.text("shown <> charted")
    op.create_index(
        "ix_track_stats_behind", "track_stats", ["track_id"], sqlite_where=behind, postgresql_where=behind
    )
    op.create_table(
        "listeners",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("track_id", Id, nullable=False),
        _user("listeners", nullable=True, ondelete="SET NULL"),
        sa.Column("plays", sa.BigInteger, nullable=False),
        sa.Column("last_play", Id, nullable=False),
        *_numbers("last_at", "last_ms"),
        sa.UniqueConstraint("track_id", "user_id", name="uq_listeners_track_id_user_id"),
    )
    op.create_index("ix_listeners_user_id", "listeners", ["user_id"])
    listener = sa.ForeignKey("listeners.id", name="fk_plays_listener_id", ondelete="CASCADE")
    op.create_table(
        "plays",
        sa.Column("listener_id", _NUMBER, listener, nullable=False),
        sa.Column("id", Id, nullable=False),
        *_numbers("at", "heard_ms"),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("device", sa.Text),
        sa.PrimaryKeyConstraint("listener_id", "id", name="pk_plays"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "play_days",
        sa.Column("track_id", Id, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        *_numbers("plays", "heard_ms", "parts"),
        sa.PrimaryKeyConstraint("track_id", "day", name="pk_play_days"),
        sqlite_with_rowid=False,
    )


def _comments() -> None:
    parent = sa.ForeignKey("comments.id", name="fk_comments_parent_id", ondelete="CASCADE")
    op.create_table(
        "comments",
        sa.Column("id", Id, primary_key=True),
        sa.Column("track_id", Id, nullable=False),
        _user("comments", nullable=True, ondelete="SET NULL"),
        sa.Column("parent_id", Id, parent),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("timestamp", sa.Double),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("edited_at", sa.BigInteger),
    )
    op.create_index("ix_comments_track_id_id", "comments", ["track_id", "id"])
    place = sa.text("coalesce(timestamp, -1)")
    op.create_index("ix_comments_track_id_timestamp", "comments", ["track_id", place, "id"])
    op.create_index(
        "ix_comments_user_id_track_id_created_at", "comments", ["user_id", "track_id", "created_at"]
    )
    op.create_index("ix_comments_parent_id", "comments", ["parent_id"])


def _numbers(*names: str) -> "list[sa.Column[int]]":
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _user(table: str, *, nullable: bool, ondelete: str | None = None) -> "sa.Column[object]":
    key = sa.ForeignKey("users.id", name=f"fk_{table}_user_id", ondelete=ondelete)
    return sa.Column("user_id", Id, key, nullable=nullable)

"""Tracks, their renditions and their counts."""

from itertools import combinations, product

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create them."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "tracks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, sa.ForeignKey("users.id", name="fk_tracks_user_id"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("artist", sa.Text, nullable=False),
        sa.Column("album", sa.Text),
        sa.Column("genre", sa.Text),
        sa.Column("year", sa.Integer),
        sa.Column("title_key", key, nullable=False),
        sa.Column("artist_key", key, nullable=False),
        sa.Column("genre_key", key),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("file_size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("audio", sa.Text, nullable=False),
        sa.Column("is_public", sa.Boolean, nullable=False),
        sa.Column("downloadable", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("has_cover", sa.Boolean, nullable=False),
        sa.Column("like_count", sa.BigInteger, nullable=False),
        sa.Column("play_count", sa.BigInteger, nullable=False),
        sa.Column("comment_count", sa.BigInteger, nullable=False),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    listed = sa.text("listed")
    filters = [by for count in range(4) for by in combinations(("user_id", "genre_key", "format"), count)]
    for by, sort in product(filters, ("created_at", "title_key", "play_count")):
        op.create_index(
            "_".join(("ix_tracks_listed", *by, sort)),
            "tracks",
            [*by, sort, "id"],
            sqlite_where=sa.text("listed = 1"),
            postgresql_where=listed,
        )
    op.create_index("ix_tracks_user_id_created_at", "tracks", ["user_id", "created_at", "id"])
    op.create_table(
        "track_counts",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "renditions",
        sa.Column(
            "track_id",
            Id,
            sa.ForeignKey("tracks.id", name="fk_renditions_track_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("mime", sa.Text, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("bitrate", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("track_id", "name", name="pk_renditions"),
    )

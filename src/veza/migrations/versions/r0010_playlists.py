"""Playlists, with their entries, collaborators, followers and links, and what search keeps of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from veza.core.db import Id

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create them."""
    _playlists()
    _entries()
    _people()
    _search()


def _playlists() -> None:
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "playlists",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, sa.ForeignKey("users.id", name="fk_playlists_user_id"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_key", key, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("is_public", sa.Boolean, nullable=False),
        *_numbers("track_count", "listed_count", "total_ms", "listed_ms", "follower_count", "version"),
        sa.Column("cover", sa.Text),
        sa.Column("mosaic", sa.Text),
        *_numbers("created_at", "updated_at"),
    )
    for column in ("created_at", "follower_count"):
        op.create_index(
            f"ix_playlists_public_{column}",
            "playlists",
            [column, "id"],
            sqlite_where=sa.text("is_public = 1"),
            postgresql_where=sa.text("is_public"),
        )
    op.create_index(
        "ix_playlists_user_id_created_at", "playlists", ["user_id", "is_public", "created_at", "id"]
    )
    op.create_table(
        "playlist_counts",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )


def _entries() -> None:
    op.create_table(
        "playlist_entries",
        sa.Column("playlist_id", Id, nullable=False),
        sa.Column("track_id", Id, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("track_owner", Id, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("added_by", Id, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("playlist_id", "track_id", name="pk_playlist_entries"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_playlist_entries_place",
        "playlist_entries",
        ["playlist_id", "place", "track_id", "listed", "track_owner"],
    )
    op.create_index("ix_playlist_entries_track_id", "playlist_entries", ["track_id", "playlist_id"])
    op.create_index(
        "ix_playlist_entries_unlisted",
        "playlist_entries",
        ["playlist_id", "track_owner", "duration_ms"],
        sqlite_where=sa.text("listed = 0"),
        postgresql_where=sa.text("NOT listed"),
    )


def _people() -> None:
    op.create_table(
        "playlist_collaborators",
        _playlist("playlist_collaborators"),
        _user("playlist_collaborators"),
        sa.Column("permission", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("playlist_id", "user_id", name="pk_playlist_collaborators"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_playlist_collaborators_user_id", "playlist_collaborators", ["user_id", "playlist_id"])
    op.create_table(
        "playlist_follows",
        sa.Column("playlist_id", Id, nullable=False),
        _user("playlist_follows"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("playlist_id", "user_id", name="pk_playlist_follows"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_playlist_follows_user_id_created_at",
        "playlist_follows",
        ["user_id", "created_at", "playlist_id"],
    )
    op.create_table(
        "playlist_links",
        sa.Column("id", Id, primary_key=True),
        _playlist("playlist_links"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_by", Id, nullable=False),
        *_numbers("created_at", "expires_at"),
        sa.UniqueConstraint("digest", name="uq_playlist_links_digest"),
    )
    op.create_index(
        "ix_playlist_links_playlist_id_created_at", "playlist_links", ["playlist_id", "created_at"]
    )
    op.create_index("ix_playlist_links_expires_at", "playlist_links", ["expires_at"])


def _search() -> None:
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    table = "search_playlists"
    op.create_table(
        table,
        sa.Column(
            "place",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", Id, nullable=False),
        sa.Column("words", sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql"), nullable=False),
        sa.Column("name", key, nullable=False),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("place", name=f"pk_{table}"),
        sa.UniqueConstraint("id", name=f"uq_{table}_id"),
    )
    op.create_table(
        f"{table}_words",
        sa.Column("word", key, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("word", name=f"pk_{table}_words"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        f"{table}_typos",
        sa.Column("key", sa.BigInteger, nullable=False),
        sa.Column("word", key, nullable=False),
        sa.PrimaryKeyConstraint("key", "word", name=f"pk_{table}_typos"),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        op.create_index(
            f"ix_{table}_words",
            table,
            ["words"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        )
    else:
        # Words come split and folded: `ascii` splits at spaces, and leaves all beyond ASCII as it is.
        op.execute(
            f"CREATE VIRTUAL TABLE {table}_fts USING fts5(words, content='', contentless_delete=1,"
            " detail=none, prefix='1 2 3 4', tokenize='ascii')"
        )


def _numbers(*names: str) -> "list[sa.Column[int]]":
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _playlist(table: str) -> "sa.Column[object]":
    key = sa.ForeignKey("playlists.id", name=f"fk_{table}_playlist_id", ondelete="CASCADE")
    return sa.Column("playlist_id", Id, key, nullable=False)


def _user(table: str) -> "sa.Column[object]":
    return sa.Column("user_id", Id, sa.ForeignKey("users.id", name=f"fk_{table}_user_id"), nullable=False)

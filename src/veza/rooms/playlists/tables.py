"""Playlists: what is in them and in which order, who may do what with them, who follows them."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

# Ordered by code points, whatever the server's language is.
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

playlists = sa.Table(
    "playlists",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    # Folded in Python: what titles are compared by, alike on both databases.
    sa.Column("title_key", Key, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("is_public", sa.Boolean, nullable=False),
    # Whether its owner is suspended; it follows that.
    sa.Column("closed", sa.Boolean, nullable=False, server_default=sa.false()),
    # Kept: all entries and those whose tracks everybody sees, and the milliseconds of each.
    sa.Column("track_count", sa.BigInteger, nullable=False),
    sa.Column("listed_count", sa.BigInteger, nullable=False),
    sa.Column("total_ms", sa.BigInteger, nullable=False),
    sa.Column("listed_ms", sa.BigInteger, nullable=False),
    sa.Column("follower_count", sa.BigInteger, nullable=False),
    # Another number after every change of the entries.
    sa.Column("version", sa.BigInteger, nullable=False),
    # Where the cover lies that somebody uploaded, and the one that is made of its tracks' covers.
    sa.Column("cover", sa.Text),
    sa.Column("mosaic", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    # Everybody's list, and one user's, public ones and private ones each by themselves.
    sa.Index(
        "ix_playlists_public_created_at",
        "created_at",
        "id",
        sqlite_where=sa.text("is_public = 1"),
        postgresql_where=sa.text("is_public"),
    ),
    # All that everybody sees, the most followed first.
    sa.Index(
        "ix_playlists_public_follower_count",
        "follower_count",
        "id",
        sqlite_where=sa.text("is_public = 1"),
        postgresql_where=sa.text("is_public"),
    ),
    sa.Index("ix_playlists_user_id_created_at", "user_id", "is_public", "created_at", "id"),
)

# How many public playlists there are ("") and each user has (their id).
playlist_counts = sa.Table(
    "playlist_counts",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
)

# No foreign keys: what is left of a playlist or a track that is gone is removed in pieces, and nobody waits.
playlist_entries = sa.Table(
    "playlist_entries",
    metadata,
    sa.Column("playlist_id", Id, nullable=False),
    sa.Column("track_id", Id, nullable=False),
    # Entries are ordered by it; between two there is room for more. Positions are counted when read.
    sa.Column("place", sa.BigInteger, nullable=False),
    # Copies of the track's own, so that a page is found, and numbered, in one index: whether strangers see
    # it, and whose it is; and the milliseconds that it lasts.
    sa.Column("listed", sa.Boolean, nullable=False),
    sa.Column("track_owner", Id, nullable=False),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    sa.Column("added_by", Id, nullable=False),
    sa.Column("added_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("playlist_id", "track_id"),
    sa.Index("ix_playlist_entries_place", "playlist_id", "place", "track_id", "listed", "track_owner"),
    sa.Index("ix_playlist_entries_track_id", "track_id", "playlist_id"),
    # What only some see; in most playlists there is none.
    sa.Index(
        "ix_playlist_entries_unlisted",
        "playlist_id",
        "track_owner",
        "duration_ms",
        sqlite_where=sa.text("listed = 0"),
        postgresql_where=sa.text("NOT listed"),
    ),
    sqlite_with_rowid=False,
)

playlist_collaborators = sa.Table(
    "playlist_collaborators",
    metadata,
    sa.Column("playlist_id", Id, sa.ForeignKey("playlists.id", ondelete="CASCADE"), nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    # read, write or admin.
    sa.Column("permission", sa.Text, nullable=False),
    sa.Column("added_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("playlist_id", "user_id"),
    sa.Index("ix_playlist_collaborators_user_id", "user_id", "playlist_id"),
    sqlite_with_rowid=False,
)

# No foreign key to playlists, as with entries.
playlist_follows = sa.Table(
    "playlist_follows",
    metadata,
    sa.Column("playlist_id", Id, nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("playlist_id", "user_id"),
    sa.Index("ix_playlist_follows_user_id_created_at", "user_id", "created_at", "playlist_id"),
    sqlite_with_rowid=False,
)

playlist_links = sa.Table(
    "playlist_links",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("playlist_id", Id, sa.ForeignKey("playlists.id", ondelete="CASCADE"), nullable=False),
    # Of the token, which only its maker was shown.
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("created_by", Id, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.UniqueConstraint("digest"),
    sa.Index("ix_playlist_links_playlist_id_created_at", "playlist_id", "created_at"),
    sa.Index("ix_playlist_links_expires_at", "expires_at"),
)

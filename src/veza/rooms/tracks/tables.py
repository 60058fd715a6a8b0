"""Tracks, their streaming renditions and covers, kept counts, and the totals of their plays."""

from itertools import combinations

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata
from veza.media import Layout
from veza.rooms.tracks.schemas import Audio, Early, Particulars

# Ordered by code points, whatever the server's language is.
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

tracks = sa.Table(
    "tracks",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("artist", sa.Text, nullable=False),
    sa.Column("album", sa.Text),
    sa.Column("genre", sa.Text),
    sa.Column("year", sa.Integer),
    sa.Column("tags", Json(list[str]), nullable=False, server_default="[]"),
    # Folded in Python: what lists are sorted and filtered by, alike on both databases.
    sa.Column("title_key", Key, nullable=False),
    sa.Column("artist_key", Key, nullable=False),
    sa.Column("genre_key", Key),
    # Seconds, as decoded; 0 until then.
    sa.Column("duration", sa.Double, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("file_size", sa.BigInteger, nullable=False),
    # Of the uploaded bytes; empty until they are processed.
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    # What else the decoder found: codec, sample_rate, channels, bit_depth, bitrate, loudness.
    sa.Column("audio", Json(Audio), nullable=False),
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("downloadable", sa.Boolean, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("has_cover", sa.Boolean, nullable=False),
    sa.Column("like_count", sa.BigInteger, nullable=False),
    sa.Column("play_count", sa.BigInteger, nullable=False),
    sa.Column("comment_count", sa.BigInteger, nullable=False),
    # Why nobody but its owner sees it, as somebody said who moderates.
    sa.Column("withheld", sa.Text),
    # Whether its owner is suspended; it follows that.
    sa.Column("closed", sa.Boolean, nullable=False, server_default=sa.false()),
    # Ready and public, and neither of these: what strangers see. A column, for an index can begin with it.
    sa.Column("listed", sa.Boolean, nullable=False),
    # Whether a product has it: it is then downloaded by its buyers alone.
    sa.Column("for_sale", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    # A list is one of these, read from either end: by any filters together (or none), sorted by one of three
    # columns. For each combination, or the rows of a common genre would be searched for a rare format's.
    *(
        sa.Index(
            "_".join(("ix_tracks_listed", *by, sort)),
            *(*by, sort, "id"),
            sqlite_where=sa.text("listed = 1"),
            postgresql_where=sa.text("listed"),
        )
        for count in range(4)
        for by in combinations(("user_id", "genre_key", "format"), count)
        for sort in ("created_at", "title_key", "play_count")
    ),
    # What an owner sees of their own.
    sa.Index("ix_tracks_user_id_created_at", "user_id", "created_at", "id"),
    # Whether somebody has this content already.
    sa.Index("ix_tracks_user_id_sha256", "user_id", "sha256"),
)

# How many listed tracks each user, genre and format has, and each combination: "user|genre|format".
track_counts = sa.Table(
    "track_counts",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
)

# The totals of each track that was ever played; made with its first play. A row of numbers that no list is
# sorted by: each play changes it, and eight indexes of `tracks` would be too many to change each time.
track_stats = sa.Table(
    "track_stats",
    metadata,
    sa.Column("track_id", Id, sa.ForeignKey("tracks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.Column("listeners", sa.BigInteger, nullable=False),
    # Milliseconds heard, and the parts of the track that these were, in millionths of it.
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.Column("parts", sa.BigInteger, nullable=False),
    # Plays by others than the owner, and how many of them `tracks.play_count` has by now.
    sa.Column("charted", sa.BigInteger, nullable=False),
    sa.Column("shown", sa.BigInteger, nullable=False),
    sa.Index(
        "ix_track_stats_behind",
        "track_id",
        sqlite_where=sa.text("shown <> charted"),
        postgresql_where=sa.text("shown <> charted"),
    ),
    sqlite_with_rowid=False,
)

renditions = sa.Table(
    "renditions",
    metadata,
    sa.Column("track_id", Id, sa.ForeignKey("tracks.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("mime", sa.Text, nullable=False),
    sa.Column("codec", sa.Text, nullable=False),
    sa.Column("bitrate", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    # Where its pieces lie; without it, it is played as a whole only.
    sa.Column("layout", Json(Layout)),
    sa.PrimaryKeyConstraint("track_id", "name"),
)

# What can be heard of a track that is still processed; `attempt` is the job's.
early = sa.Table(
    "early",
    metadata,
    sa.Column("track_id", Id, sa.ForeignKey("tracks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("pieces", Json(Early), nullable=False),
)

# Where the cover lies that somebody uploaded; one from the tags has a fixed place and no row.
covers = sa.Table(
    "track_covers",
    metadata,
    sa.Column("track_id", Id, sa.ForeignKey("tracks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("folder", sa.Text, nullable=False),
)

# Who has bought a track, and by which product. No foreign key to tracks: who buys holds products, and
# whoever changes these holds tracks first.
track_buyers = sa.Table(
    "track_buyers",
    metadata,
    sa.Column("user_id", Id, nullable=False),
    sa.Column("track_id", Id, nullable=False),
    sa.Column("product_id", Id, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "track_id", "product_id"),
    sqlite_with_rowid=False,
)

# Files that were sold: they stay in the storage, whatever becomes of the row that named them.
kept_files = sa.Table(
    "kept_files",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    # Of a track's original, as it was when it was last sold; its cover stays as well.
    sa.Column("particulars", Json(Particulars)),
)

# Files of folders that were imported, so that they are known again without being read; see library.py.
imported_files = sa.Table(
    "imported_files",
    metadata,
    sa.Column("user_id", Id, nullable=False),
    # The digest of path, size and time of change.
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("track_id", Id, sa.ForeignKey("tracks.id", ondelete="CASCADE"), nullable=False),
    sa.PrimaryKeyConstraint("user_id", "mark"),
    sa.Index("ix_imported_files_track_id", "track_id"),
)

"""Who listened to what, each play of it, each day's totals, and the sums that artists look at.

None of them refers to tracks: what was heard of a track that is gone is removed in pieces, not while somebody
waits.
"""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata

# A number of this database's own, never shown: it stands in every play.
_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# One row for each track and member that ever played it. Once the account is gone it says nobody any more, and
# goes on counting as the one listener that it was.
listeners = sa.Table(
    "listeners",
    metadata,
    sa.Column("id", _Number, primary_key=True),
    sa.Column("track_id", Id, nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="SET NULL")),
    sa.Column("plays", sa.BigInteger, nullable=False),
    # The last play that was counted: what a repeat within the half minute adds to.
    sa.Column("last_play", Id, nullable=False),
    sa.Column("last_at", Time, nullable=False),
    sa.Column("last_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("track_id", "user_id"),
    # What somebody heard, the latest met first: a column that plays change would cost each of them.
    sa.Index("ix_listeners_user_id_id", "user_id", "id"),
)

# Ten million of them are to fit: 16 bytes of id, a small number for who and what, and no other index.
plays = sa.Table(
    "plays",
    metadata,
    sa.Column("listener_id", _Number, sa.ForeignKey("listeners.id", ondelete="CASCADE"), nullable=False),
    sa.Column("id", Id, nullable=False),
    sa.Column("at", Time, nullable=False),
    # Milliseconds heard, and which part of the track that is, in millionths.
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("device", sa.Text),
    sa.PrimaryKeyConstraint("listener_id", "id"),
    sqlite_with_rowid=False,
)

# What each day of UTC, by its number since 1970, adds to a track's totals.
play_days = sa.Table(
    "play_days",
    metadata,
    sa.Column("track_id", Id, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.Column("parts", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("track_id", "day"),
    sqlite_with_rowid=False,
)

# What was told of plays and is not yet in the sums below; a job takes it over some seconds later. A repeat
# that heard more than its first tells only what is more (no play, and which part it had come to before).
fresh_plays = sa.Table(
    "fresh_plays",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("listener_id", _Number, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("plays", sa.Integer, nullable=False),
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("part_before", sa.Integer),
    sa.Column("device", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("country", sa.Text),
    # The listener's: so that a dashboard finds what is its own among all that waits.
    sa.Column("track_id", Id),
    sa.Index("ix_fresh_plays_track_id", "track_id"),
)

# Sums are kept for each scope: a track, an artist (the id of their account), and all there is (the nil UUID).
# A quarter of an hour is the largest span of which every time zone's days are made.
play_quarters = sa.Table(
    "play_quarters",
    metadata,
    sa.Column("scope", Id, nullable=False),
    # Counted since 1970.
    sa.Column("quarter", sa.Integer, nullable=False),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.Column("parts", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("scope", "quarter"),
    sqlite_with_rowid=False,
)

# Each day's plays by device, source or country.
play_facets = sa.Table(
    "play_facets",
    metadata,
    sa.Column("scope", Id, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),
    sa.Column("facet", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("scope", "day", "facet", "value"),
    sqlite_with_rowid=False,
)

# Each day's plays by how far they came, in twentieths of the track.
play_ends = sa.Table(
    "play_ends",
    metadata,
    sa.Column("scope", Id, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("scope", "day", "step"),
    sqlite_with_rowid=False,
)

# Each day's listeners, as a sketch (veza.rooms.plays.sketch).
play_listeners = sa.Table(
    "play_listeners",
    metadata,
    sa.Column("scope", Id, nullable=False),
    sa.Column("day", sa.Integer, nullable=False),
    sa.Column("sketch", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("scope", "day"),
    sqlite_with_rowid=False,
)

# Which scopes have their weeks packed, those of many plays, and the last week up to which they are.
play_scopes = sa.Table(
    "play_scopes",
    metadata,
    sa.Column("scope", Id, primary_key=True),
    sa.Column("through", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

# All sums of a week of UTC that is over, by its number (veza.rooms.plays.weeks); none of one without plays.
play_weeks = sa.Table(
    "play_weeks",
    metadata,
    sa.Column("scope", Id, nullable=False),
    sa.Column("week", sa.Integer, nullable=False),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.Column("parts", sa.BigInteger, nullable=False),
    # Plays by facet and value, and by how far they came.
    sa.Column("facets", Json, nullable=False),
    sa.Column("ends", Json, nullable=False),
    # Plays of each quarter of an hour, all in as many bytes; and the listeners of all days.
    sa.Column("quarters", sa.LargeBinary, nullable=False),
    sa.Column("sketch", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("scope", "week"),
    sqlite_with_rowid=False,
)

# Who listens to an artist, and how much.
fans = sa.Table(
    "fans",
    metadata,
    sa.Column("artist_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("plays", sa.BigInteger, nullable=False),
    sa.Column("heard_ms", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("artist_id", "user_id"),
    sa.Index("ix_fans_artist_id_plays", "artist_id", "plays"),
    sa.Index("ix_fans_user_id", "user_id"),
    sqlite_with_rowid=False,
)

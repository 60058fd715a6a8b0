"""Who listened to what, each play of it, and each day's sums.

None of them refers to tracks: what was heard of a track that is gone is removed in pieces, not while somebody
waits.
"""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

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

"""What search keeps: for each kind of thing its entries, the words in them, and what typos lead to these.

On SQLite there is for each kind also a full-text table, ``search_…_fts``, made by the migration: SQLAlchemy
has no word for it.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from veza.core.db import Id, Time, metadata

# Ordered by code points, whatever the server's language is.
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Separated by spaces; to PostgreSQL, what its index of words is made of.
Words = sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")
# An INTEGER that is its table's key is SQLite's own number of the row, and the full-text table's.
Place = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

search_state = sa.Table(
    "search_state",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    # By which version of these rules the entries were made; 0 if they never all were, -1 while they are.
    sa.Column("version", sa.Integer, nullable=False),
    # How many numbers were ever given, to entries and to changes of them.
    sa.Column("numbered", sa.BigInteger, nullable=False),
)


def _tables(kind: str, *indexes: sa.Index) -> None:
    sa.Table(
        f"search_{kind}",
        metadata,
        # The order of finding: the popular first, then the new. See places.py.
        sa.Column("place", Place, primary_key=True, autoincrement=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("words", Words, nullable=False),
        sa.Column("name", Key, nullable=False),
        # Seconds.
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.UniqueConstraint("id"),
        sa.Index(
            f"ix_search_{kind}_words",
            "words",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            info={"only": "postgresql"},
        ),
        *indexes,
    )
    sa.Table(
        f"search_{kind}_words",
        metadata,
        sa.Column("word", Key, primary_key=True),
        # In how many entries it is.
        sa.Column("entries", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    sa.Table(
        f"search_{kind}_typos",
        metadata,
        sa.Column("key", sa.BigInteger, nullable=False),
        sa.Column("word", Key, nullable=False),
        sa.PrimaryKeyConstraint("key", "word"),
        sqlite_with_rowid=False,
    )


_tables(
    "tracks",
    # What a place's range is looked up by, in a fifth of the room that its row takes.
    sa.Index("ix_search_tracks_place", "place", "duration", "created_at"),
    # What is sorted otherwise than by popularity is found by walking along one of these.
    sa.Index("ix_search_tracks_name", "name", "id"),
    sa.Index("ix_search_tracks_created_at", "created_at", "id", "duration"),
    # Whether few things are of some durations.
    sa.Index("ix_search_tracks_duration", "duration", "created_at"),
)
_tables("users")
_tables("playlists")

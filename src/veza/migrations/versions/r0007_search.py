"""Search: for each kind of thing its entries, the words in them, and what typos lead to these.

What is there already is indexed at the start (:mod:`veza.rooms.search.build`): words are made in Python.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from veza.core.db import Id

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "search_state",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("numbered", sa.BigInteger, nullable=False),
    )
    for kind in ("tracks", "users"):
        _kind(kind)


def _kind(kind: str) -> None:
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    table = f"search_{kind}"
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

"""The models that there are: each a file, and what is to be known before it is opened."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

recommendation_models = sa.Table(
    "recommendation_models",
    metadata,
    # By it they are in the order in which they were made, and their files have their names.
    sa.Column("id", Id, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    # SHA-256 of the file.
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("learned_at", Time, nullable=False),
)

"""Two databases behind one face: embedded SQLite (apsw) and PostgreSQL (asyncpg).

Statements are written once in SQLAlchemy Core, compiled once for each dialect and run on the bare driver;
rows become msgspec Structs. See docs/adr/0002-database.md.
"""

from veza.core.db.base import Database, Tx, UniqueViolation, UrlRefused
from veza.core.db.open import open_database
from veza.core.db.statement import ListOf, Statement, any_of
from veza.core.db.types import Id, Json, Time, metadata

__all__ = [
    "Database",
    "Id",
    "Json",
    "ListOf",
    "Statement",
    "Time",
    "Tx",
    "UniqueViolation",
    "UrlRefused",
    "any_of",
    "metadata",
    "open_database",
]

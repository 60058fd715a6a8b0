"""All the ids that a query finds, as one value beside others: so a row and its set come in one statement."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from veza.core.db.types import uuid_from_bytes

_BYTES = 16


class IdSet(sa.types.TypeDecorator[frozenset[UUID]]):
    """Ids as a database gives them together: an array in PostgreSQL, their digits in a row in SQLite."""

    impl = sa.Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> frozenset[UUID]:
        """What Python sees."""
        if not value:
            return frozenset()
        if dialect.name == "postgresql":
            return frozenset(value)
        raw = bytes.fromhex(value)
        return frozenset(uuid_from_bytes(raw[at : at + _BYTES]) for at in range(0, len(raw), _BYTES))


class ids_of(sa.sql.expression.ColumnElement[frozenset[UUID]]):  # noqa: N801 - reads as SQL does
    """Every id of a query with one column, called ``id``; the query takes no parameters."""

    inherit_cache = False
    type = IdSet()

    def __init__(self, query: sa.SelectBase) -> None:
        self.query = query


@compiles(ids_of, "sqlite")
def _ids_of_sqlite(element: ids_of, compiler: SQLCompiler, **kw: Any) -> str:
    query = compiler.process(element.query, **kw)
    return f"(SELECT group_concat(hex(id), '') FROM ({query}))"  # noqa: S608 - compiled parts only


@compiles(ids_of, "postgresql")
def _ids_of_postgres(element: ids_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"ARRAY({compiler.process(element.query, **kw)})"

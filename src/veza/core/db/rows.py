"""Rows in a form that is nobody's own: the same from SQLite and from PostgreSQL, and good for both.

A value is what msgpack knows: a UUID is its 16 bytes, a moment its microseconds, JSON its text. The sum of a
table is of the digests of its rows, in no order, so that it does not matter how a database sorts.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from veza.core.db.statement import Statement
from veza.core.db.types import Id, uuid_from_bytes

Row = tuple[Any, ...]
_DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode


class Column(msgspec.Struct, frozen=True, array_like=True):
    """A column by its name and kind: ``id``, ``bytes``, ``bool``, ``int``, ``float`` or ``text``."""

    name: str
    kind: str


class Sum(msgspec.Struct):
    """How many rows there are, and the sum of their digests."""

    rows: int = 0
    total: int = 0

    def add(self, row: Row) -> bytes:
        """Count a row; it is returned as msgpack."""
        packed = _encode(row)
        digest = hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest()
        self.rows += 1
        self.total = (self.total + int.from_bytes(digest)) % (1 << 8 * _DIGEST_BYTES)
        return packed

    @property
    def digest(self) -> str:
        """The sum in hexadecimal."""
        return f"{self.total:0{2 * _DIGEST_BYTES}x}"


_KINDS = {
    sa.LargeBinary: "bytes",
    sa.Boolean: "bool",
    sa.Integer: "int",
    sa.Float: "float",
    sa.Text: "text",
}


def columns_of(table: sa.Table) -> list[Column]:
    """The columns of a table. Raises TypeError for a type that is not known here."""
    return [Column(str(column.name), _kind_of(column.type)) for column in table.columns]


def _kind_of(kind: Any) -> str:
    if isinstance(kind, Id):
        return "id"
    if isinstance(kind, sa.types.TypeDecorator):
        return _kind_of(kind.impl_instance)
    for base, name in _KINDS.items():
        if isinstance(kind, base):
            return name
    raise TypeError(f"rows with a {kind!r} cannot be copied")


def select_all(table: sa.Table) -> Statement[Any]:
    """All rows of a table, in one order on both databases: that of the bytes of its key."""
    keys = [
        _Bytewise(column) if isinstance(column.type, sa.Text) else column
        for column in table.primary_key.columns
    ]
    return Statement(sa.select(*table.columns).order_by(*keys))


class _Bytewise(sa.sql.expression.ColumnElement[Any]):
    """A text, compared by its bytes whatever the language of the server is."""

    inherit_cache = False

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        self.column = column


@compiles(_Bytewise, "sqlite")
def _bytewise_sqlite(element: _Bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.column, **kw)


@compiles(_Bytewise, "postgresql")
def _bytewise_postgres(element: _Bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return f'{compiler.process(element.column, **kw)} COLLATE "C"'


def reader(columns: Sequence[Column], dialect: str) -> Callable[[Iterable[Row]], list[Row]]:
    """What makes a driver's rows nobody's own."""
    return _mapper(columns, {"bool": "bool({})"} if dialect == "sqlite" else {"id": "{}.bytes"})


def writer(columns: Sequence[Column], dialect: str) -> Callable[[Iterable[Row]], list[Row]]:
    """What makes them a driver's again."""
    return _mapper(columns, {} if dialect == "sqlite" else {"id": "uuid_from_bytes({})"})


def _mapper(columns: Sequence[Column], converters: dict[str, str]) -> Callable[[Iterable[Row]], list[Row]]:
    parts = []
    for index, column in enumerate(columns):
        value, form = f"r[{index}]", converters.get(column.kind)
        parts.append(f"(None if {value} is None else {form.format(value)})" if form else value)
    # One expression made for this table, as for statements: no look-up of types for each value.
    code = f"lambda rows: [({', '.join(parts)},) for r in rows]"
    made: Callable[[Iterable[Row]], list[Row]] = eval(code, {"uuid_from_bytes": uuid_from_bytes})  # noqa: S307 - made of numbers
    return made

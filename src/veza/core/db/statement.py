"""A SQL statement: written once, compiled once for each dialect, run on the bare driver."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase, TextualSelect

RowT = TypeVar("RowT")
Args = tuple[Any, ...]

SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")
POSTGRES: Dialect = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]  # untyped in the library


class any_of(sa.sql.expression.ColumnElement[bool]):  # noqa: N801 - reads as SQL does
    """``column IN (a list of any length)`` with one parameter, so that the statement needs no recompiling.

    The list is given as UUIDs (for an ``Id`` column) or texts.
    """

    inherit_cache = False
    type = sa.Boolean()
    _is_implicitly_boolean = True  # else SQLite is given `… = 1` around it

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        self.column = column
        self.param: sa.BindParameter[Any] = sa.bindparam(name, type_=ListOf(column.type))


class ListOf(sa.types.TypeDecorator[Any]):
    """A list as one parameter: an array in PostgreSQL, a JSON text for ``json_each`` in SQLite."""

    impl = sa.Text
    cache_ok = False

    def __init__(self, of: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """An array where there is one."""
        if dialect.name == "postgresql":
            native = (
                self.of.load_dialect_impl(dialect) if isinstance(self.of, sa.types.TypeDecorator) else self.of
            )
            return dialect.type_descriptor(postgresql.ARRAY(native))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """What the driver takes."""
        if dialect.name == "postgresql":
            return list(value)
        return msgspec.json.encode([v.hex if hasattr(v, "hex") else v for v in value]).decode()


@compiles(any_of, "sqlite")
def _any_of_sqlite(element: any_of, compiler: SQLCompiler, **kw: Any) -> str:
    value = "unhex(value)" if isinstance(element.column.type, sa.types.TypeDecorator) else "value"
    column, param = compiler.process(element.column, **kw), compiler.process(element.param, **kw)
    return f"{column} IN (SELECT {value} FROM json_each({param}))"  # noqa: S608 - compiled parts only


@compiles(any_of, "postgresql")
def _any_of_postgres(element: any_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY ({compiler.process(element.param, **kw)})"


class Compiled(Generic[RowT]):
    """A statement in one dialect: its text, how to bind its parameters and how to read its rows.

    ``writes`` are the tables that it changes by itself, foreign keys aside; None where that is not known.
    """

    __slots__ = ("bind", "read", "text", "writes")

    def __init__(
        self,
        text: str,
        bind: Callable[[Mapping[str, Any]], Args],
        read: Callable[[Any], RowT],
        writes: frozenset[str] | None,
    ) -> None:
        self.text = text
        self.bind = bind
        self.read = read
        self.writes = writes


class Statement(Generic[RowT]):
    """One SQL statement and what its rows are.

    ``row`` is a Struct whose fields carry the names of the selected columns in their order, or a plain
    type for a statement with one column, or left out for one that returns nothing. A ``heavy`` statement
    may take milliseconds: SQLite runs it off the event loop.

    Raises :class:`TypeError` at the first use when the columns and the Struct's fields differ.
    """

    __slots__ = ("_element", "_postgres", "_row", "_sqlite", "heavy")

    def __init__(self, element: sa.Executable, row: type[RowT] | None = None, *, heavy: bool = False) -> None:
        self._element = element
        self.heavy = heavy
        self._row = row
        self._sqlite: Compiled[RowT] | None = None
        self._postgres: Compiled[RowT] | None = None

    @property
    def sqlite(self) -> Compiled[RowT]:
        """The statement for apsw."""
        if self._sqlite is None:
            self._sqlite = _compile(self._element, self._row, SQLITE)
        return self._sqlite

    @property
    def postgres(self) -> Compiled[RowT]:
        """The statement for asyncpg."""
        if self._postgres is None:
            self._postgres = _compile(self._element, self._row, POSTGRES)
        return self._postgres


def _compile(element: sa.Executable, row: type[RowT] | None, dialect: Dialect) -> Compiled[RowT]:
    compiled = cast("SQLCompiler", cast("sa.ClauseElement", element).compile(dialect=dialect))
    return Compiled(
        str(compiled), _binder(compiled, dialect), _reader(element, row, dialect), _written(element)
    )


_CHANGES = re.compile(r"SELECT |(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")


def _written(element: sa.Executable) -> frozenset[str] | None:
    if isinstance(element, sa.TextClause | TextualSelect):
        text = element.text if isinstance(element, sa.TextClause) else cast("Any", element).element.text
        found = _CHANGES.match(text)
        return frozenset({found[1]} if found[1] else ()) if found else None
    parts = visitors.iterate(cast("sa.ClauseElement", element))
    return frozenset(cast("sa.Table", part.table).name for part in parts if isinstance(part, UpdateBase))


def _binder(compiled: SQLCompiler, dialect: Dialect) -> Callable[[Mapping[str, Any]], Args]:
    names: Sequence[str] = compiled.positiontup or ()
    params = {name: param for param, name in compiled.bind_names.items()}
    fixed: dict[str, Any] = {}
    parts: list[str] = []
    scope: dict[str, Any] = {"fixed": fixed}
    for index, name in enumerate(names):
        param = params[name]
        convert = param.type.dialect_impl(dialect).bind_processor(dialect)
        if param.required:
            scope[f"c{index}"] = convert
            parts.append(f"c{index}(p[{name!r}])" if convert else f"p[{name!r}]")
        else:
            fixed[name] = convert(param.effective_value) if convert else param.effective_value
            parts.append(f"fixed[{name!r}]")
    # One expression made for this statement: no loop and no look-up of types when it runs.
    code = f"lambda p: ({', '.join(parts)}{',' if parts else ''})"
    return cast("Callable[[Mapping[str, Any]], Args]", eval(code, scope))  # noqa: S307 - made of our own names


def _reader(element: sa.Executable, row: type[RowT] | None, dialect: Dialect) -> Callable[[Any], RowT]:
    columns = list(element.exported_columns) if isinstance(element, SelectBase | UpdateBase) else []
    scope: dict[str, Any] = {"Row": row}
    parts: list[str] = []
    for index, column in enumerate(columns):
        convert = _converter(column.type, dialect)
        scope[f"c{index}"] = convert
        parts.append(f"c{index}(r[{index}])" if convert else f"r[{index}]")
    if isinstance(row, type) and issubclass(row, msgspec.Struct):
        wanted = [field.name for field in msgspec.structs.fields(row)]
        given = [column.key for column in columns]
        if wanted != given:
            raise TypeError(f"{row.__name__} has {wanted}, its statement {given}")
        code = f"lambda r: Row({', '.join(parts)})"
    elif row is None:
        code = "lambda r: None"
    elif len(columns) != 1:
        raise TypeError(f"a statement of rows of {row} has one column, not {len(columns)}")
    else:
        code = f"lambda r: {parts[0]}"
    return cast("Callable[[Any], RowT]", eval(code, scope))  # noqa: S307 - made of our own names


def _converter(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes a column's value Python's; None where the driver's is that already."""
    from veza.core.db.types import Id  # noqa: PLC0415 - types and statements are one layer

    if isinstance(kind, sa.Float) or (isinstance(kind, Id) and dialect.name == "postgresql"):
        return None
    found: Callable[[Any], Any] | None = kind.dialect_impl(dialect).result_processor(dialect, None)
    return found

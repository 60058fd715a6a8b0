"""Transactions of SQLite: views that read, snapshots that read as of one moment, and writes in turn."""

# ruff: noqa: D102 - what each method does the base says

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import apsw

from veza.core.db.base import Tx, read_by_turns
from veza.core.db.sqlite_base import translate
from veza.core.db.sqlite_writer import Group
from veza.core.db.statement import Args, Statement
from veza.core.turns import give_way

if TYPE_CHECKING:
    from veza.core.db.sqlite import SqliteDatabase

RowT = TypeVar("RowT")

_NOTHING: frozenset[str] = frozenset()
# A transaction of very many statements lets others have a turn at the loop, not at the writer, after so many,
# ten milliseconds or so: to end the account of an owner of ten thousand tracks takes over a second. After
# fewer it would cost those who wait for the writer more than it gives to all others.
AT_A_TIME = 500


def fetch(connection: apsw.Connection, text: str, args: Args) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return connection.execute(text, args).fetchall()


def _rows(connection: apsw.Connection, text: str, args: Args) -> Iterator[tuple[Any, ...]]:
    """All rows of a query, which is begun with the first of them: to sort the others may take long."""
    yield from connection.execute(text, args)


def _raise(error: Exception) -> NoReturn:
    meaning = translate(error)
    if meaning is error:
        raise error
    raise meaning from error


class _SqliteTx(Tx):
    database: "SqliteDatabase"

    @abstractmethod
    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]: ...

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        rows = await self._fetch(statement, params)
        return statement.sqlite.read(rows[0]) if rows else None

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        read = statement.sqlite.read
        return [read(row) for row in await self._fetch(statement, params)]


class ReadTx(_SqliteTx):
    """A view through the one reader of the event loop."""

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        compiled = statement.sqlite
        if self._over:
            raise self._unusable()
        try:
            if statement.heavy:
                return await self.database.read_heavy(compiled.text, compiled.bind(params))
            return self.database.reader.execute(compiled.text, compiled.bind(params)).fetchall()
        except apsw.Error as error:
            _raise(error)

    async def run(self, *_: Any, **__: Any) -> int:
        raise TypeError("a view only reads")

    async def run_many(self, *_: Any) -> None:
        raise TypeError("a view only reads")

    async def _commit(self) -> None:
        self.committed()

    async def close(self) -> None:
        self._over = True


class SnapshotTx(ReadTx):
    """A view of one moment, through a reader of its own until it ends."""

    _connection: apsw.Connection | None = None
    _reading = False

    def __init__(self, database: "SqliteDatabase", *, apart: bool = False) -> None:
        super().__init__(database)
        self._apart = apart

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        if not self._apart:
            return await super().all(statement, **params)
        return await read_by_turns(statement.sqlite.read, await self._fetch(statement, params))

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        compiled = statement.sqlite
        if self._over:
            raise self._unusable()
        try:
            connection = await self._begin()
            if not (statement.heavy or self._apart):
                return connection.execute(compiled.text, compiled.bind(params)).fetchall()
            self._reading = True
            read = partial(fetch, connection, compiled.text, compiled.bind(params))
            return await self.database.read_on(connection, read, then=self._read)
        except apsw.Error as error:
            _raise(error)

    async def _begin(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = await self.database.borrow()
            self._connection.execute("BEGIN")
        return self._connection

    async def scan(
        self, statement: Statement[Any], /, *, most: int = 2_000, **params: Any
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        compiled = statement.sqlite
        if self._over:
            raise self._unusable()
        try:
            connection = await self._begin()
            rows = _rows(connection, compiled.text, compiled.bind(params))
            while True:
                self._reading = True
                read = partial(list[tuple[Any, ...]], islice(rows, most))
                if not (piece := await self.database.read_on(connection, read, then=self._read)):
                    return
                yield piece
        except apsw.Error as error:
            _raise(error)

    def _read(self) -> None:
        self._reading = False
        if self._over:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")
            self.database.give_back(connection)

    async def _commit(self) -> None:
        self.committed()
        self._let_go()  # and not only when the last byte of an answer is sent

    async def close(self) -> None:
        self._over = True
        if not self._reading:  # else the thread's end lets go: its caller went away
            self._let_go()


class WriteTx(_SqliteTx):
    """A part of a group that shares one commit, undone alone if it fails."""

    _group: Group | None = None

    def __init__(self, database: "SqliteDatabase") -> None:
        super().__init__(database)
        self.written: set[str] | None = set()
        self._statements = 0

    def _note(self, writes: frozenset[str] | None) -> None:
        """Remember what is written; of tables that are not known, that it may be any."""
        if writes is None:
            self.written = None
        elif self.written is not None:
            self.written |= writes

    async def _begin(self) -> apsw.Connection:
        if self._over or self._failure is not None:
            raise self._unusable()
        if self._group is None:
            self._take_task()
            try:
                self._group = await self.database.writer.enter()
            finally:
                if self._group is None:
                    self._leave_task()
        self._statements += 1
        if not self._statements % AT_A_TIME:
            await give_way()
        return self.database.writer.connection

    def _fail(self, error: Exception) -> NoReturn:
        self._failure = error
        self.database.writer.note(error)
        _raise(error)

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            rows = connection.execute(compiled.text, compiled.bind(params)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        if compiled.writes != _NOTHING:
            self._note(compiled.writes)
        return rows

    async def all_each(self, statement: Statement[RowT], rows: Iterable[Mapping[str, Any]], /) -> list[RowT]:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            found = connection.executemany(compiled.text, map(compiled.bind, rows)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        if compiled.writes != _NOTHING:
            self._note(compiled.writes)
        read = compiled.read
        return [read(row) for row in found]

    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            connection.execute(compiled.text, compiled.bind(params)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        self._note(compiled.writes)
        return connection.changes()

    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            connection.executemany(compiled.text, map(compiled.bind, rows)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        self._note(compiled.writes)

    async def run_each(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        await self.run_many(statement, rows)  # there is nobody to wait for

    async def _commit(self) -> None:
        group, writer = self._group, self.database.writer
        if group is None:
            self.committed()
            return
        try:
            writer.release()
        except apsw.Error as error:
            self._fail(error)
        self._over = True
        done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        group.members.append((self, self.written, done))
        self._leave_task()
        writer.leave()
        problem = await done
        if problem is not None:
            _raise(problem)

    async def close(self) -> None:
        if self._over:
            return
        self._over = True
        if self._group is not None:
            self._leave_task()
            self.database.writer.undo()
            self.database.writer.leave()
        self._trace_end("ROLLBACK")

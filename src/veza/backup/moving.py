"""Moving the rows of a database into an empty one, table by table, each compared (`veza migrate --to`)."""

from collections.abc import AsyncIterator, Sequence

from rich.console import Console

from veza.backup import tables
from veza.backup.manifest import TablePart
from veza.backup.progress import Tell, counting
from veza.backup.restoring import compare
from veza.core.db import Database, Tx
from veza.core.db.loading import loading
from veza.core.db.rows import Row, Sum, reader


async def move(source: Database, url: str, revision: str, console: Console) -> Sequence[TablePart]:
    """Fill the database at ``url`` with all rows of ``source``, at the same revision; what was moved.

    Nobody writes to ``source`` meanwhile; it stays as it is. Raises NotEmpty, NotRestored, and what databases
    raise; then nothing is in the other.
    """
    parts: list[TablePart] = []
    async with source.snapshot() as view, loading(url, revision) as loader:
        with counting(console, "Rows") as tell:
            for name in tables.kept_tables():
                columns, found = tables.columns(name), Sum()
                await loader.write(name, columns, _rows(view, name, found, tell))
                parts.append(TablePart(name, columns, found.rows, found.digest, ()))
        with counting(console, "Rows, read again", sum(part.rows for part in parts)) as tell:
            for part in parts:
                await compare(loader, part, tell)
    return parts


async def _rows(view: Tx, name: str, found: Sum, tell: Tell) -> AsyncIterator[Sequence[Row]]:
    convert = reader(tables.columns(name), view.database.dialect)
    async for rows in view.scan(tables.all_rows(name)):
        made = convert(rows)
        for row in made:
            found.add(row)
        yield made
        tell(len(made))

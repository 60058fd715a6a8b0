"""Reading all rows of a database at one moment, into pieces that go somewhere."""

from collections.abc import Awaitable, Callable, Sequence

from veza.backup import tables
from veza.backup.manifest import TablePart
from veza.backup.pieces import Cutter
from veza.backup.progress import Tell
from veza.core.db import Tx
from veza.core.db.rows import Sum, reader

# Takes a piece; the name by which it is found again.
Keep = Callable[[bytes], Awaitable[str]]


async def dump_table(view: Tx, name: str, keep: Keep, tell: Tell) -> TablePart:
    """Have every row of a table kept that the snapshot ``view`` sees."""
    columns = tables.columns(name)
    convert, found, cutter, pieces = reader(columns, view.database.dialect), Sum(), Cutter(), list[str]()
    async for rows in view.scan(tables.all_rows(name)):
        for row in convert(rows):
            if (piece := cutter.add(found.add(row))) is not None:
                pieces.append(await keep(piece))
        tell(len(rows))
    if (piece := cutter.rest()) is not None:
        pieces.append(await keep(piece))
    return TablePart(name, columns, found.rows, found.digest, pieces)


async def dump(view: Tx, keep: Keep, tell: Tell) -> Sequence[TablePart]:
    """Every table that is kept, each after those that it refers to."""
    return [await dump_table(view, name, keep, tell) for name in tables.kept_tables()]

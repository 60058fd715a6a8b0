"""What ties a database to its storage: an id that both carry.

A sweep removes every file that no row names; with the rows of another database, or with none, those are all
there are. The id is a row in the database and, in the storage, the name of a file, its stamp. Names tell more
than contents would: of two who put theirs in the same moment one at least sees the other's, on any storage.
"""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa
import structlog

from veza.core import clock
from veza.core.db import Database, Id, Statement, Time, Tx, metadata
from veza.core.ids import new_id
from veza.core.storage import Storage

log = structlog.get_logger()

STAMPS = "installation"
_TOLD = b"The files beside this belong to the database whose id is its name: see docs/backup.md.\n"

installation = sa.Table(
    "installation",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # always 1: there is one
    sa.Column("id", Id, nullable=False),
    sa.Column("stamped_at", Time),
)


class Own(msgspec.Struct, frozen=True):
    """The database's id, and since when its storage has the stamp."""

    id: UUID
    stamped_at: datetime | None


_FIND = Statement(sa.select(installation.c.id, installation.c.stamped_at), Own)
_NAME: Statement[None] = Statement(
    sa.text(
        "INSERT INTO installation (number, id) VALUES (1, :id) ON CONFLICT (number) DO NOTHING"
    ).bindparams(sa.bindparam("id", type_=Id))
)
_NOTE: Statement[None] = Statement(
    sa.update(installation)
    .where(installation.c.stamped_at.is_(None))
    .values(stamped_at=sa.bindparam("now", type_=Time))
)


class Belonging(msgspec.Struct, frozen=True):
    """The database's id, none before its first start; since when its storage has it; all stamps there."""

    id: UUID | None
    stamped_at: datetime | None
    stamps: frozenset[str]

    @property
    def sure(self) -> bool:
        """Whether the storage is this database's, and nobody else's."""
        return self.id is not None and self.stamps == {str(self.id)}

    @property
    def others(self) -> list[str]:
        """The ids of others whose the storage is."""
        return sorted(self.stamps - {str(self.id)})

    @property
    def lost(self) -> bool:
        """Whether the storage had the stamp, and is without one now: a disk that is not mounted, say."""
        return self.stamped_at is not None and not self.stamps

    def problem(self, place: str) -> str:
        """What is wrong, in one line; empty where nothing is, or where neither says anything yet."""
        if self.others:
            own = f"{self.id}" if self.id else "without one yet"
            return f"{place} is that of the installation {', '.join(self.others)}, and the database is {own}"
        if self.lost:
            return f"{place} has no file {stamp_key(self.id)}, as the storage of this database had"
        return ""


def stamp_key(own: UUID | str | None) -> str:
    """The key of the stamp with this id."""
    return f"{STAMPS}/{own}"


async def list_stamps(storage: Storage) -> frozenset[str]:
    """The ids of all stamps in a storage: one, if all is well. What has another name there is none."""
    names = [entry.key.partition("/")[2] async for entry in storage.list(STAMPS)]
    return frozenset(filter(_is_id, names))


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


async def find_own(view: Tx) -> Own | None:
    """What the database has; none before its first start."""
    return await view.first(_FIND)


async def compare(database: Database, storage: Storage) -> Belonging:
    """What both say of whose they are. Raises what databases and storages raise."""
    async with database.read() as view:
        own = await find_own(view)
    stamps = await list_stamps(storage)
    return Belonging(own.id if own else None, own.stamped_at if own else None, stamps)


async def identify(database: Database) -> Own:
    """What the database has, which gets an id where it has none."""
    async with database.read() as view:
        own = await find_own(view)
    if own is None:
        async with database.write() as tx:
            await tx.run(_NAME, id=new_id())
            own = await find_own(tx)
    assert own is not None
    return own


async def note_stamp(database: Database) -> None:
    """Have the database know that its storage has the stamp."""
    async with database.write() as tx:
        await tx.run(_NOTE, now=clock.now())


async def put_stamp(storage: Storage, own: UUID | str) -> None:
    """Have the storage say whose it is."""
    await storage.put_bytes(stamp_key(own), _TOLD)


async def stamp(database: Database, storage: Storage) -> Belonging:
    """Have both say that they belong together, where neither did; what they say then.

    Another may do the same in this moment: then the storage stays the other's, or nobody's.
    """
    own = (await identify(database)).id
    await put_stamp(storage, own)
    found = await compare(database, storage)
    if found.sure:
        await note_stamp(database)
    else:
        await storage.remove_now([stamp_key(own)])
    return found


async def may_sweep(database: Database, storage: Storage) -> bool:
    """Whether what no row names is nobody's: only where the storage is this database's. Says so if not."""
    found = await compare(database, storage)
    if not found.sure:
        stamps = sorted(found.stamps)
        log.error("storage.not_swept", storage=storage.place, installation=str(found.id), stamps=stamps)
    return found.sure

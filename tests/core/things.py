"""A table to test databases with, and statements on it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from veza.core.db import Database, Id, Json, Statement, Time, Tx, any_of
from veza.core.db.statement import POSTGRES, SQLITE
from veza.core.db.types import metadata
from veza.core.ids import new_id

things = sa.Table(
    "things",
    sa.MetaData(naming_convention=metadata.naming_convention),
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger),
    sa.Column("at", Time),
    sa.Column("data", Json),
    sa.Column("parent_id", Id, sa.ForeignKey("things.id")),
    sa.UniqueConstraint("name", "number"),
)
folded = sa.Index("uq_things_folded", sa.func.lower(things.c.name), unique=True)


class Thing(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    number: int | None
    at: datetime | None
    data: Any
    parent_id: UUID | None


ADD: Statement[None] = Statement(sa.insert(things))
RENAME: Statement[None] = Statement(
    sa.update(things).where(things.c.id == sa.bindparam("thing_id")).values(name=sa.bindparam("new"))
)
REMOVE: Statement[None] = Statement(sa.delete(things))
ALL = Statement(sa.select(things).order_by(things.c.id), Thing)
NAMES = Statement(sa.select(things.c.name).order_by(things.c.name), str)
FROM_NUMBER = Statement(
    sa.select(things).where(things.c.number >= sa.bindparam("least")).order_by(things.c.number), Thing
)
COUNT = Statement(sa.select(sa.func.count()).select_from(things), int)
HEAVY_COUNT = Statement(sa.select(sa.func.count()).select_from(things), int, heavy=True)
AMONG_IDS = Statement(sa.select(things).where(any_of(things.c.id, "ids")).order_by(things.c.id), Thing)
AMONG_NAMES = Statement(sa.select(things.c.name).where(any_of(things.c.name, "names")), str)


def row(name: str, **values: Any) -> dict[str, Any]:
    """A whole row; what is not given is empty."""
    empty = {"number": None, "at": None, "data": None, "parent_id": None}
    return {"id": new_id(), "name": name, **empty, **values}


async def add(tx: Tx, name: str, **values: Any) -> UUID:
    made = row(name, **values)
    await tx.run(ADD, **made)
    return UUID(str(made["id"]))


async def names(database: Database) -> list[str]:
    async with database.read() as view:
        return await view.all(NAMES)


def create_sql(dialect: str) -> str:
    """What makes the table and its index."""
    kind = SQLITE if dialect == "sqlite" else POSTGRES
    return f"{CreateTable(things).compile(dialect=kind)};{CreateIndex(folded).compile(dialect=kind)}"


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Database]:
    """A database with the table in it."""
    await database.script(create_sql(database.dialect))
    yield database
    await database.script("DROP TABLE things")

"""SQL of how far an index is: how many numbers were given, and by which version of the rules it was made."""

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.search.tables import search_state

S = search_state.c


class State(msgspec.Struct, frozen=True):
    """How far an index is."""

    numbered: int
    version: int


_NUMBER = Statement(
    sa.text(
        "INSERT INTO search_state (kind, version, numbered) VALUES (:kind, 0, :count)"
        " ON CONFLICT (kind) DO UPDATE SET numbered = search_state.numbered + excluded.numbered"
        " RETURNING numbered, version"
    )
    .bindparams(sa.bindparam("kind", type_=sa.Text), sa.bindparam("count", type_=sa.BigInteger))
    .columns(sa.column("numbered", sa.BigInteger), sa.column("version", sa.Integer)),
    State,
)
_STATE = Statement(sa.select(S.numbered, S.version).where(S.kind == sa.bindparam("of")), State)
_SET_VERSION: Statement[None] = Statement(
    sa.update(search_state).where(S.kind == sa.bindparam("of")).values(version=sa.bindparam("now"))
)


async def number(tx: Tx, kind: str, count: int) -> State:
    """The last of so many new numbers; nobody else changes this index until ``tx`` ends."""
    return await tx.first(_NUMBER, kind=kind, count=count) or State(0, 0)


async def read(view: Tx, kind: str) -> State:
    """How far it is at the moment."""
    return await view.first(_STATE, of=kind) or State(0, 0)


async def set_version(tx: Tx, kind: str, version: int) -> None:
    """Say by which version everything was made."""
    await tx.run(_SET_VERSION, of=kind, now=version)

"""All SQL about how many users follow each, and how many each follows."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.rooms.accounts.tables import users

U = users.c


class Counts(msgspec.Struct, frozen=True):
    """How many users follow this one, and how many this one follows."""

    id: UUID
    follower_count: int
    following_count: int


# Nobody else counts them meanwhile; whoever only needs them to stay is not in the way.
_HOLD = Statement(
    sa.select(*(U[name] for name in Counts.__struct_fields__))
    .where(any_of(U.id, "ids"))
    .order_by(U.id)
    .with_for_update(key_share=True),
    Counts,
)
_ADD: Statement[None] = Statement(
    sa.update(users)
    .where(any_of(U.id, "ids"))
    .values(
        follower_count=U.follower_count + sa.bindparam("followers", type_=sa.BigInteger),
        following_count=U.following_count + sa.bindparam("following", type_=sa.BigInteger),
    )
)
_MARKED = Statement(sa.select(U.id).where(any_of(U.id, "ids"), U.has_blocks), UUID)
_MARK: Statement[None] = Statement(sa.update(users).where(any_of(U.id, "ids")).values(has_blocks=True))


async def hold(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, Counts]:
    """Those of these users whom there is; nobody else counts or deletes them until ``tx`` is over."""
    return {found.id: found for found in await tx.all(_HOLD, ids=list(ids))}


async def add(tx: Tx, ids: Iterable[UUID], *, followers: int, following: int) -> None:
    """So many more, or fewer, for each of these users, who are held."""
    await tx.run(_ADD, ids=list(ids), followers=followers, following=following)


async def mark(tx: Tx, ids: Iterable[UUID]) -> None:
    """Remember that there was a block by or of these users, who are held."""
    await tx.run(_MARK, ids=list(ids))


async def list_marked(tx: Tx, ids: Iterable[UUID]) -> list[UUID]:
    """Those of these users by or of whom there was ever a block."""
    return await tx.all(_MARKED, ids=list(ids))

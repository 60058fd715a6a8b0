"""All SQL about who has blocked whom."""

from uuid import UUID

import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.following.schemas import Block
from veza.rooms.following.tables import blocks

B = blocks.c

_one = sa.and_(B.blocker_id == sa.bindparam("blocker"), B.blocked_id == sa.bindparam("blocked"))
_ADD: Statement[None] = Statement(sa.insert(blocks))
_REMOVE: Statement[None] = Statement(sa.delete(blocks).where(_one))
_BETWEEN = Statement(
    sa.union_all(
        sa.select(B.blocker_id).where(
            B.blocker_id == sa.bindparam("one"), B.blocked_id == sa.bindparam("other")
        ),
        sa.select(B.blocker_id).where(
            B.blocker_id == sa.bindparam("other"), B.blocked_id == sa.bindparam("one")
        ),
    ),
    UUID,
)
_HIDDEN = Statement(
    sa.union_all(
        *(
            sa.select(B[other]).where(B[end] == sa.bindparam("user"))
            for end, other in (("blocker_id", "blocked_id"), ("blocked_id", "blocker_id"))
        )
    ),
    UUID,
)
_COUNT = Statement(sa.select(sa.func.count()).where(B.blocker_id == sa.bindparam("blocker")), int)
_blocked = (
    sa.select(B.blocked_id.label("user_id"), users.c.username, B.created_at.label("blocked_at"))
    .select_from(blocks.join(users, users.c.id == B.blocked_id))
    .where(B.blocker_id == sa.bindparam("blocker"))
    .order_by(B.created_at.desc(), B.blocked_id.desc())
)
_OF_USER = Statement(_blocked, Block)
_PAGE = Statement(
    _blocked.limit(sa.bindparam("limit", type_=sa.BigInteger)).offset(
        sa.bindparam("offset", type_=sa.BigInteger)
    ),
    Block,
)
_of = sa.or_(B.blocker_id == sa.bindparam("user"), B.blocked_id == sa.bindparam("user"))
_some = sa.select(B.blocker_id, B.blocked_id).where(_of).limit(sa.bindparam("count"))
_FORGET: Statement[None] = Statement(
    sa.delete(blocks).where(sa.tuple_(B.blocker_id, B.blocked_id).in_(_some))
)


async def add(tx: Tx, blocker_id: UUID, blocked_id: UUID) -> None:
    """Write a block down that there is not yet."""
    await tx.run(_ADD, blocker_id=blocker_id, blocked_id=blocked_id, created_at=clock.now())


async def remove(tx: Tx, blocker_id: UUID, blocked_id: UUID) -> bool:
    """Take a block back; whether there was one."""
    return await tx.run(_REMOVE, blocker=blocker_id, blocked=blocked_id) == 1


async def between(tx: Tx, one: UUID, other: UUID) -> set[UUID]:
    """Who of these two has blocked the other."""
    return set(await tx.all(_BETWEEN, one=one, other=other))


async def list_hidden(tx: Tx, user_id: UUID) -> list[UUID]:
    """Whom a user has blocked, and who has blocked them."""
    return await tx.all(_HIDDEN, user=user_id)


async def count(tx: Tx, blocker_id: UUID) -> int:
    """How many a user has blocked."""
    return await tx.first(_COUNT, blocker=blocker_id) or 0


async def page(tx: Tx, blocker_id: UUID, page: Page) -> list[Block]:
    """One page of those whom a user has blocked, the latest first."""
    return await tx.all(_PAGE, blocker=blocker_id, limit=page.limit, offset=page.offset)


async def list_of(tx: Tx, blocker_id: UUID) -> list[Block]:
    """Everybody whom a user has blocked."""
    return await tx.all(_OF_USER, blocker=blocker_id)


async def forget(tx: Tx, user_id: UUID, most: int) -> bool:
    """Remove so many blocks of and by an account that is gone; whether there may be more."""
    return await tx.run(_FORGET, user=user_id, count=most) >= most

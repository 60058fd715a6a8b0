"""All SQL about uploaded files."""

from uuid import UUID

import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.rooms.uploads.schemas import Upload
from veza.rooms.uploads.tables import uploads

U = uploads.c
_ALL = sa.select(*(uploads.c[name] for name in Upload.__struct_fields__))
_one = U.id == sa.bindparam("upload_id")
_mine = U.user_id == sa.bindparam("user_id")

_INSERT: Statement[None] = Statement(sa.insert(uploads))
_FIND = Statement(_ALL.where(_one), Upload)
_LOCK = Statement(_ALL.where(_one).with_for_update(), Upload)
_OF_USER = Statement(_ALL.where(_mine).order_by(U.id), Upload)
_PAGE = Statement(
    _ALL.where(_mine)
    .order_by(U.created_at.desc(), U.id.desc())
    .limit(sa.bindparam("count"))
    .offset(sa.bindparam("skipped")),
    Upload,
)
_COUNT = Statement(sa.select(sa.func.count(U.id)).where(_mine), int)
_END: Statement[None] = Statement(
    sa.update(uploads)
    .where(_one)
    .values(
        status=sa.bindparam("new_status"), error=sa.bindparam("new_error"), updated_at=sa.bindparam("now")
    )
)
_DELETE: Statement[None] = Statement(sa.delete(uploads).where(_one))
_DELETE_OF_USER: Statement[None] = Statement(sa.delete(uploads).where(_mine))


async def add(tx: Tx, upload: Upload) -> None:
    """Write a new upload."""
    await tx.run(_INSERT, **{name: getattr(upload, name) for name in Upload.__struct_fields__})


async def find(tx: Tx, upload_id: UUID) -> Upload | None:
    """The upload with this id."""
    return await tx.first(_FIND, upload_id=upload_id)


async def lock(tx: Tx, upload_id: UUID) -> Upload | None:
    """The same; nobody else changes it until ``tx`` is over."""
    return await tx.first(_LOCK, upload_id=upload_id)


async def list_of(tx: Tx, user_id: UUID) -> list[Upload]:
    """All of a user's uploads."""
    return await tx.all(_OF_USER, user_id=user_id)


async def list_page(tx: Tx, user_id: UUID, page: Page) -> list[Upload]:
    """A page of a user's uploads, the newest first."""
    return await tx.all(_PAGE, user_id=user_id, count=page.limit, skipped=page.offset)


async def count(tx: Tx, user_id: UUID) -> int:
    """How many uploads a user has."""
    return await tx.first(_COUNT, user_id=user_id) or 0


async def end(tx: Tx, upload_id: UUID, status: str, error: str | None = None) -> None:
    """An upload that is locked has been looked at."""
    await tx.run(_END, upload_id=upload_id, new_status=status, new_error=error, now=clock.now())


async def delete(tx: Tx, upload_id: UUID) -> None:
    """Delete an upload."""
    await tx.run(_DELETE, upload_id=upload_id)


async def delete_of(tx: Tx, user_id: UUID) -> list[Upload]:
    """Delete every upload of a user; what they were."""
    gone = await list_of(tx, user_id)
    await tx.run(_DELETE_OF_USER, user_id=user_id)
    return gone

"""What people are told: reading it, having read it, and deleting it; each as often as one will."""

from collections.abc import Callable, Sequence
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.core import clock
from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.core.live import Live
from veza.core.pages import Page
from veza.rooms.notifications import boxes_store, store
from veza.rooms.notifications.describing import describe
from veza.rooms.notifications.errors import NotificationNotFound
from veza.rooms.notifications.kinds import SETTLE, OfUser
from veza.rooms.notifications.schemas import Notification, NotificationList
from veza.rooms.notifications.store import Gone
from veza.rooms.notifications.telling import hint

# A few milliseconds of the writer.
PIECE = 500


async def list_own(tx: Tx, actor: Member, page: Page, *, unread_only: bool) -> NotificationList:
    """A page of what ``actor`` is told, the latest first."""
    box = await boxes_store.find(tx, actor.id)
    total = box.unread if unread_only else box.total
    found: list[Notification] = []
    if page.offset < total:
        rows = await store.page(tx, actor.id, page, unread_only=unread_only, read_seq=box.read_seq)
        found = await describe(tx, actor, rows, box.read_seq)
    return NotificationList(found, box.unread, page.of(total))


async def list_after(
    tx: Tx, actor: Actor, user_id: UUID, seq: int, most: int
) -> tuple[list[Notification], boxes_store.Box]:
    """The first so many of a user's after a place, as ``actor`` sees them, and their box."""
    box = await boxes_store.find(tx, user_id)
    rows = await store.list_after(tx, user_id, seq, most) if box.seq > seq else []
    return await describe(tx, actor, rows, box.read_seq), box


async def find_place(tx: Tx, user_id: UUID) -> int:
    """The place after which everything is new to a user from now on."""
    return (await boxes_store.find(tx, user_id)).seq


async def mark_read(tx: Tx, live: Live, actor: Member, notification_id: UUID) -> None:
    """``actor`` has read one; a second time there is nothing to do. Raises :class:`NotificationNotFound`."""
    box = await boxes_store.hold(tx, actor.id)
    if await store.read(tx, actor.id, notification_id, box.read_seq, clock.now()):
        await boxes_store.add(tx, actor.id, 0, -1)
        hint(tx, live, actor.id)
    elif await store.find(tx, actor.id, notification_id) is None:
        raise NotificationNotFound


async def mark_all_read(tx: Tx, live: Live, actor: Member, up_to: UUID | None) -> None:
    """``actor`` has read all there is at this moment, or up to the one that was the latest they saw.

    That is one number, however many there are; a job writes it into their rows.
    Raises :class:`NotificationNotFound`.
    """
    box = await boxes_store.hold(tx, actor.id)
    seq, left = box.seq, 0
    if up_to is not None:
        row = await store.find(tx, actor.id, up_to)
        if row is None:
            raise NotificationNotFound
        seq = max(row.seq, box.read_seq)
        left = await store.count_unread(tx, actor.id, seq)
    if box.unread > left:
        await boxes_store.read_to(tx, actor.id, seq, left)
        await enqueue(tx, SETTLE, OfUser(actor.id))
        hint(tx, live, actor.id)


async def delete(tx: Tx, live: Live, actor: Member, notification_id: UUID) -> None:
    """``actor`` does not want to see one any more. Raises :class:`NotificationNotFound`."""
    box = await boxes_store.hold(tx, actor.id)
    gone = await store.remove(tx, actor.id, notification_id)
    if gone is None:
        raise NotificationNotFound
    await count_gone(tx, box, [gone])
    hint(tx, live, actor.id)


async def delete_read(begin: Callable[[], Tx], actor: Member) -> int:
    """``actor`` does not want to see what they have read any more; how many that were.

    In pieces, each in a transaction of its own.
    """
    deleted, more = 0, True
    while more:
        async with begin() as tx:
            box = await boxes_store.hold(tx, actor.id)
            gone = await store.remove_read(tx, actor.id, box.read_seq, PIECE)
            await count_gone(tx, box, gone)
        deleted += len(gone)
        more = len(gone) >= PIECE
    return deleted


async def count_gone(tx: Tx, box: boxes_store.Box, gone: Sequence[Gone]) -> None:
    """Count what was removed out of a box that is held."""
    if gone:
        unread = sum(one.read_at is None and one.seq > box.read_seq for one in gone)
        await boxes_store.add(tx, box.user_id, -len(gone), -unread)

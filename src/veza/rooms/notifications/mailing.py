"""What people are told by mail: some of it at once, the rest once a day, to those who want it.

Only to addresses that were confirmed, and only what is not read yet; in the words of the list, with what
their reader may see at that moment.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.jobs import Job, NoPayload, enqueue, finish
from veza.core.mail import Mailer, MailRefused, render
from veza.core.worker import Task
from veza.rooms.accounts import profiles
from veza.rooms.following import blocks
from veza.rooms.notifications import boxes_store, preferences, preferences_store, store
from veza.rooms.notifications.describing import describe
from veza.rooms.notifications.kinds import (
    DIGESTS,
    SEND_DIGEST,
    SEND_NOTICE,
    OfUser,
    SendNotice,
)
from veza.rooms.notifications.schemas import Notification
from veza.rooms.notifications.store import Row
from veza.rooms.notifications.unsubscribing import Unsubscribing

log = structlog.get_logger()

MOST_LINES = 20
_PIECE = 500


class _Reader(msgspec.Struct, frozen=True):
    id: UUID
    username: str
    email: str


class Mailing:
    """Writes to people about what they are told."""

    def __init__(
        self, database: Database, mailer: Mailer, base_url: str, unsubscribing: Unsubscribing
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._base_url = base_url
        self._unsubscribing = unsubscribing

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(SEND_NOTICE, self.send_notice),
            Task(SEND_DIGEST, self.send_digest),
            Task(DIGESTS, self.begin_digests),
        ]

    async def send_notice(self, job: Job, what: SendNotice) -> None:
        """Mail one notification, if it is there still and its reader wants that still."""
        async with self._database.read() as view:
            user = await _addressee(view, what.user_id)
            row = await store.find(view, what.user_id, what.notification_id)
            if user is None or row is None:
                return
            (told,) = await _describe(view, user, [row], 0)
            if not (await preferences.find(view, user.id, told.type)).email:
                return
        await self._send(job, "notice", user, told.type, message=told.message, when=told.updated_at)

    async def begin_digests(self, _job: Job, _told: NoPayload) -> None:
        """Have a digest written for everybody who wants one of anything."""
        after, more = UUID(int=0), True
        while more:
            async with self._database.write() as tx:
                found = await preferences_store.list_mailed(tx, preferences.DIGESTED, after, _PIECE)
                for user_id in found:
                    await enqueue(tx, SEND_DIGEST, OfUser(user_id), unique_key=f"digest:{user_id}")
            after = found[-1] if found else after
            more = len(found) >= _PIECE

    async def send_digest(self, job: Job, what: OfUser) -> None:
        """Mail what somebody has not read since the last digest, if there is anything."""
        async with self._database.read() as view:
            user = await _addressee(view, what.user_id)
            box = await boxes_store.find(view, what.user_id)
            wanted = (await preferences.list_all(view, what.user_id)).preferences
            types = [name for name in preferences.DIGESTED if wanted[name].email]
            rows = await store.list_unread(
                view, box.user_id, types, after=box.digest_seq, read_seq=box.read_seq, most=MOST_LINES + 1
            )
            if user is None or not rows:
                return
            told = await _describe(view, user, rows[:MOST_LINES], box.read_seq)
        lines = [one.message for one in told]
        more = len(rows) > MOST_LINES
        await self._send(job, "digest", user, "digest", lines=lines, more=more, when=clock.now())
        async with self._database.write() as tx:
            await finish(tx, job)
            await boxes_store.digested(tx, user.id, box.seq)

    async def _send(self, job: Job, template: str, user: _Reader, ends: str, **about: Any) -> None:
        mail = render(
            template,
            to=user.email,
            public_url=self._base_url,
            username=user.username,
            unsubscribe=self._unsubscribing.address(user.id, ends),
            **about,
        )
        try:
            await self._mailer.send(mail, key=job.id)
        except MailRefused as refusal:
            log.info("mail.refused", user_id=str(user.id), reason=str(refusal))


async def _addressee(tx: Tx, user_id: UUID) -> _Reader | None:
    for user in await profiles.list_by_ids(tx, [user_id]):
        if user.email_verified and user.suspended_at is None:
            return _Reader(user.id, user.username, user.email)
    return None


async def _describe(tx: Tx, user: _Reader, rows: Sequence[Row], read_seq: int) -> list[Notification]:
    reader = await blocks.as_they_ask(tx, user.id)
    return [] if reader is None else await describe(tx, reader, rows, read_seq)

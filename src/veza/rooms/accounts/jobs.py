"""What is done for accounts when nobody waits for it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from veza.core import clock
from veza.core.db import Database
from veza.core.installation import may_sweep
from veza.core.jobs import Job, NoPayload
from veza.core.mail import Mailer, MailRefused, render
from veza.core.storage import Storage
from veza.core.worker import Task
from veza.rooms.accounts import avatars, mail_tokens, store
from veza.rooms.accounts.kinds import (
    PURGE,
    REMOVE_AVATAR,
    SEND_VERIFICATION,
    SWEEP_AVATARS,
    RemoveAvatar,
    SendVerification,
)

log = structlog.get_logger()

VERIFY_TTL = timedelta(hours=24)
# Younger files may belong to an upload that is still under way.
ORPHAN_AGE = timedelta(hours=24)


class AccountJobs:
    """The jobs of this room, with what they work on."""

    def __init__(self, database: Database, storage: Storage, mailer: Mailer, base_url: str) -> None:
        self._database = database
        self._storage = storage
        self._mailer = mailer
        self._base_url = base_url

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(SEND_VERIFICATION, self.send_verification),
            Task(REMOVE_AVATAR, self.remove_avatar),
            Task(PURGE, self.purge),
            Task(SWEEP_AVATARS, self.sweep_avatars),
        ]

    async def send_verification(self, job: Job, what: SendVerification) -> None:
        """Send a link to the address, if there is an account that waits for it."""
        async with self._database.write() as tx:
            user = await store.find_by_email(tx, what.email)
            if user is None or user.email_verified:
                return
            token = await mail_tokens.issue(tx, mail_tokens.VERIFY, user.id, user.email, VERIFY_TTL)
        mail = render(
            "verify_email",
            to=user.email,
            public_url=self._base_url,
            username=user.username,
            token=token,
            hours=VERIFY_TTL // timedelta(hours=1),
        )
        try:
            await self._mailer.send(mail, key=job.id)
        except MailRefused as refusal:
            log.info("mail.refused", user_id=str(user.id), reason=str(refusal))

    async def remove_avatar(self, job: Job, what: RemoveAvatar) -> None:
        """Remove the files of an avatar that nobody has any more."""
        del job
        await self._storage.delete_prefix(what.folder)

    async def purge(self, job: Job, what: NoPayload) -> None:
        """Forget links that have expired and names that are free again."""
        del job, what
        async with self._database.write() as tx:
            await store.purge(tx)

    async def sweep_avatars(self, job: Job, what: NoPayload) -> None:
        """Remove pictures that are nobody's avatar: of uploads that were cut off between file and row."""
        del job, what
        if not await may_sweep(self._database, self._storage):
            return
        before = clock.now() - ORPHAN_AGE
        async for entry in self._storage.list(avatars.ROOT):
            folder = entry.key.rpartition("/")[0]
            if entry.modified < before and await self._find_avatar(folder) != folder:
                await self._storage.delete(entry.key)

    async def _find_avatar(self, folder: str) -> str | None:
        try:
            user_id = UUID(folder.split("/")[1])
        except (IndexError, ValueError):  # an operator's own file is nobody's picture, and stops no sweep
            return None
        async with self._database.read() as view:
            user = await store.find(view, user_id)
        return user.avatar if user else None

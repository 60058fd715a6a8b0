"""What sessions do later: mails about safety, links for a new password, and forgetting what has ended."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from veza.core.db import Database
from veza.core.events import EventJob, find_source
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.mail import Mailer, MailRefused, render
from veza.core.postage import Postage
from veza.core.worker import Task
from veza.rooms.accounts import mail_tokens
from veza.rooms.sessions import proofs_store, store
from veza.rooms.sessions.events import PasswordChanged, TwoFactorReset
from veza.rooms.sessions.proofs_store import Account

RESET_TTL = timedelta(hours=1)


class SendReset(msgspec.Struct, frozen=True):
    """To whom a link for a new password goes, if there is such an account."""

    email_key: str


# A mail server may be away for hours: fifty attempts, at most ten minutes apart, last for eight of them.
_PATIENCE = 50
# Reacts to what the owner of an account should hear of.
SEND_ALERT = JobKind("sessions.send_alert", EventJob, lane="mail", attempts=_PATIENCE)
SEND_RESET = JobKind("sessions.send_reset", SendReset, lane="mail", attempts=_PATIENCE)
PURGE = JobKind("sessions.purge", NoPayload, every=timedelta(hours=1))

_ALERTS = {
    "auth.refresh_reused": "A sign-in token of yours was used twice, which happens when somebody has copied "
    "it. The session that it belonged to has been ended.",
    "auth.login_slowed": "Somebody has tried many wrong passwords or codes for your account. "
    "Further tries from new devices have to wait a little each time.",
    "auth.2fa_enabled": "Two-factor login was turned on.",
    "auth.2fa_disabled": "Two-factor login was turned off.",
    "auth.recovery_code_used": "A recovery code was used in the place of a code from your app.",
}
# What is told in words of its own.
_TEMPLATES = {PasswordChanged.kind: "password_changed", TwoFactorReset.kind: "two_factor_reset"}


class _Post:
    """Writes to people about their account."""

    def __init__(self, database: Database, mailer: Mailer, public_url: str, postage: Postage) -> None:
        self._database = database
        self._mailer = mailer
        self._public_url = public_url
        self._postage = postage

    async def send_alert(self, job: Job, told: EventJob) -> None:
        """Tell the owner of an account what happened to it, as often as an address may be written to."""
        user_id = told.data.get("user_id")
        async with self._database.read() as view:
            account = await proofs_store.find(view, UUID(user_id)) if user_id else None
            source = await find_source(view, told.event_id)
        if account is None or source is None or not await self._may_tell(job, told.kind, account):
            return
        about: dict[str, Any] = {"when": source.created_at, "ip_address": source.ip}
        template = _TEMPLATES.get(told.kind, "security_alert")
        if told.kind in _ALERTS:
            about["what"] = _ALERTS[told.kind]
        await self._send(job, template, account.email, username=account.username, **about)

    async def _may_tell(self, job: Job, kind: str, account: Account) -> bool:
        # What an operator did nobody else can have brought about: that is told in any case.
        return kind == TwoFactorReset.kind or await self._postage.covers(
            job, account.email, confirmed=account.email_verified, kind=kind
        )

    async def send_reset(self, job: Job, told: SendReset) -> None:
        """Send a link for a new password; its token is made here and kept nowhere else."""
        async with self._database.write() as tx:
            account = await proofs_store.find_by_email(tx, told.email_key)
            if account is None:
                return
            token = await mail_tokens.issue(tx, mail_tokens.RESET, account.id, account.email, RESET_TTL)
        minutes = int(RESET_TTL.total_seconds() // 60)
        await self._send(
            job, "password_reset", account.email, username=account.username, token=token, minutes=minutes
        )

    async def _send(self, job: Job, template: str, to: str, **about: Any) -> None:
        mail = render(template, to=to, public_url=self._public_url, **about)
        try:
            await self._mailer.send(mail, key=job.id)
        except MailRefused:
            return  # it never will be taken, and there is nobody to tell


def tasks(database: Database, mailer: Mailer, public_url: str, postage: Postage) -> list[Task]:
    """The jobs of this room."""
    post = _Post(database, mailer, public_url, postage)

    async def purge(_job: Job, _told: NoPayload) -> None:
        await forget_ended(database)

    return [
        Task(SEND_ALERT, post.send_alert),
        Task(SEND_RESET, post.send_reset),
        Task(PURGE, purge),
    ]


async def forget_ended(database: Database) -> None:
    """Drop sessions that expired, or were ended a month ago, and tokens used very long ago."""
    more = True
    while more:
        async with database.write() as tx:
            more = await store.purge(tx)
    async with database.read() as view:
        crowded = await store.list_crowded(view)
    for session_id in crowded:
        async with database.write() as tx:
            await store.thin(tx, session_id)

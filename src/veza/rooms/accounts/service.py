"""Accounts: making them, which names are free, whose an address is, and who has which role."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.access.policy import Action, require
from veza.core.db import Tx, UniqueViolation
from veza.core.errors import Conflict, InvalidToken
from veza.core.exchange import Exchange
from veza.core.jobs import enqueue
from veza.core.limits import Limit, Limiter
from veza.core.text import BadValue, email_key, normalise_username
from veza.rooms.accounts import mail_tokens, store
from veza.rooms.accounts.config import AccountsConfig
from veza.rooms.accounts.errors import EmailTaken, LastAdmin, TokenInvalid, UsernameTaken, UserNotFound
from veza.rooms.accounts.events import (
    CHANGED,
    EmailVerified,
    RoleChanged,
    UserRegistered,
    VerificationRequested,
)
from veza.rooms.accounts.kinds import SEND_VERIFICATION, SendVerification
from veza.rooms.accounts.store import User

# Nobody can take the name of somebody known by it until it is forgotten.
NAME_HELD = timedelta(days=30)


async def create_user(
    tx: Tx, *, username: str, email: str, password_hash: str, role: str = "user", email_verified: bool = False
) -> User:
    """A new account, with a normalised name and address; see :func:`greet` for the link to confirm it by.

    Raises :class:`UsernameTaken` and :class:`EmailTaken`; then ``tx`` is to be given up.
    """
    try:
        user = await store.add(
            tx,
            username=username,
            email=email,
            email_verified=email_verified,
            password_hash=password_hash,
            role=role,
        )
    except UniqueViolation as clash:
        raise taken(clash) from None
    await refuse_held(tx, user)
    tx.emit(UserRegistered(user.id))
    return user


async def greet(tx: Tx, limiter: Limiter, limit: Limit | None, user: User) -> None:
    """Have a link sent to the address of a new account, unless that was sent all it may get by ``limit``.

    Else who registers, leaves and registers again would have as many sent to a stranger as they like. It is
    counted apart from links that are asked for, as anybody may for anybody: so nobody is kept from theirs.
    """
    if limit is None or (await limiter.hit(limit, email_key(user.email))).allowed:
        await enqueue(tx, SEND_VERIFICATION, SendVerification(user.email))


def taken(clash: UniqueViolation) -> Conflict:
    """What a caller is told when a name or an address is another's."""
    return EmailTaken() if "email" in clash.constraint else UsernameTaken()


async def refuse_held(tx: Tx, user: User) -> None:
    """Raise :class:`UsernameTaken` when the name that ``user`` has just taken is held for somebody else.

    Only after it was taken: whoever gave it up in this moment has committed by then, and the hold is seen.
    """
    if await store.find_holder(tx, user.username) not in (None, user.id):
        raise UsernameTaken


async def stay(tx: Tx, user_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these users who have an account, which none loses until ``tx`` is over.

    Users are held before tracks, and tracks before what is counted of them, whoever holds them for whatever:
    so that two transactions never wait for each other.
    """
    return await store.stay(tx, user_ids)


async def stay_signed_in(tx: Tx, actor: Member) -> None:
    """``actor`` keeps their account until ``tx`` is over, and is not suspended before.

    Raises :class:`veza.core.errors.InvalidToken`, also for whoever was suspended since they asked.
    """
    if not await store.stay_open(tx, actor.id):
        raise InvalidToken


async def list_suspended(tx: Tx, user_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these users who are suspended now; nobody is held, so a moment later it may be otherwise."""
    return await store.suspended(tx, user_ids)


async def list_all_suspended(tx: Tx) -> frozenset[UUID]:
    """Everybody who is suspended now."""
    return frozenset(await store.all_suspended(tx))


async def count_users(tx: Tx) -> int:
    """How many accounts there are."""
    return await store.count_all(tx)


async def is_anybody(tx: Tx) -> bool:
    """Whether anybody has an account."""
    return await store.is_anybody(tx)


async def is_available(tx: Tx, username: str) -> bool:
    """Whether somebody could register under this name now."""
    try:
        normalise_username(username)
    except BadValue:
        return False
    return (
        await store.find_by_username(tx, username) is None and await store.find_holder(tx, username) is None
    )


async def request_verification(
    tx: Tx, limiter: Limiter, config: AccountsConfig, email: str, exchange: Exchange
) -> None:
    """Have a link sent to this address, if an account waits for it.

    Whether one does is found out later, by the job: so the answer is the same for all, and as quick.
    Raises :class:`veza.core.errors.RateLimited`.
    """
    if config.verification_limit is not None:
        await limiter.admit(config.verification_limit, email_key(email), exchange)
    await enqueue(tx, SEND_VERIFICATION, SendVerification(email))
    tx.emit(VerificationRequested())


async def verify_email(tx: Tx, token: str) -> None:
    """Whoever holds the token reads the mail of its address. Raises :class:`TokenInvalid`."""
    link = await mail_tokens.redeem(tx, mail_tokens.VERIFY, token)
    if not await store.verify(tx, link.user_id, link.email):
        raise TokenInvalid
    tx.emit(EmailVerified(link.user_id))
    tx.notify(CHANGED)


async def assign_role(tx: Tx, actor: Actor, user_id: UUID, role: str) -> User:
    """Give somebody a role; it counts from their next request on. Raises :class:`LastAdmin`."""
    require(actor, Action.ASSIGN_ROLE)
    user = await lock_keeping_an_admin(tx, user_id, stays_admin=role == "admin")
    if user.role != role:
        await store.set_role(tx, user.id, role)
        tx.emit(RoleChanged(user.id, user.role, role))
        tx.notify(CHANGED)
    return user


async def lock_keeping_an_admin(tx: Tx, user_id: UUID, *, stays_admin: bool = False) -> User:
    """The user, who may be about to be an admin no longer, or one who cannot act.

    Raises :class:`UserNotFound`, and :class:`LastAdmin` when nobody else would be one; a suspended admin does
    not count. Of two admins who depose each other, one succeeds: the admins are locked, in one order, before
    anybody else.
    """
    admins = await store.lock_admins(tx)
    user = await store.lock(tx, user_id)
    if user is None:
        raise UserNotFound
    if admins == [user.id] and not stays_admin:
        raise LastAdmin
    return user

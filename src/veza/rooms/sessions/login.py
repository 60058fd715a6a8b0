"""Registering, and signing in with a password."""

from datetime import datetime
from uuid import UUID

import msgspec

from veza.access.passwords import check_password
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.events import Context
from veza.core.ids import new_id
from veza.core.text import BadValue, email_key
from veza.core.turns import give_way, rest
from veza.rooms.accounts import service as accounts
from veza.rooms.sessions import challenge, grants, proofs_store, store
from veza.rooms.sessions.attempts import require_patience, too_soon
from veza.rooms.sessions.errors import AccountSuspended, InvalidCredentials
from veza.rooms.sessions.events import LoggedIn
from veza.rooms.sessions.means import Means
from veza.rooms.sessions.proofs_store import Account
from veza.rooms.sessions.schemas import Credentials, Login, Registered, Registration, UserSummary


async def register(means: Means, form: Registration, origin: Context) -> Registered:
    """A new account, signed in at once.

    Raises ValidationFailed, and UsernameTaken or EmailTaken.
    """
    require_good_password(form.password, form.password_confirm, form.username, form.email)
    password_hash = await means.hasher.hash(form.password)
    async with means.database.write() as tx:
        tx.context = lambda: origin
        user = await accounts.create_user(
            tx, username=form.username, email=form.email, password_hash=password_hash
        )
        await accounts.greet(tx, means.limiter, means.greeting_limit, user)
        _, pair = await grants.open_session(tx, means, user.id, user.role, origin)
    return Registered(UserSummary(user.id, user.username, user.email), pair)


async def log_in(means: Means, form: Credentials, origin: Context) -> Login:
    """Sign in, or, where a second factor is on, get the token with which to show it.

    An unknown address and a wrong password cost and answer the same. After many failures an account's next
    logins have to wait, but where its owner is signed in already, from there the right password passes: so
    nobody can lock others out. Raises InvalidCredentials, AccountSuspended once the password is right, and
    RateLimited.
    """
    await rest()
    key, attempts = email_key(form.email), means.attempts
    async with means.database.read() as view:
        found = await proofs_store.find_by_email(view, key)
        await give_way()
        user_id = found.id if found else None
        known = await store.knows_device(view, user_id or new_id(), origin.ip, origin.user_agent)
    wait = await attempts.passwords.check(key)
    if wait and not known:
        raise too_soon(wait)
    account = await prove(means, found, form.password)
    if account is None:
        await attempts.note_failure(attempts.passwords, key, user_id, origin)
        raise too_soon(wait) if wait else InvalidCredentials
    await attempts.passwords.succeed(key)
    if account.suspended_at:
        await attempts.note_suspended(account.id, origin)
        raise AccountSuspended
    if account.two_factor:
        token = challenge.issue(means.tokens, account, remember_me=form.remember_me)
        return Login(challenge_token=token, requires_2fa=True)
    async with means.database.write() as tx:
        tx.context = lambda: origin
        login = await enter(tx, means, account, origin, remember_me=form.remember_me)
    await give_way()
    return login


async def prove(means: Means, account: Account | None, password: str) -> Account | None:
    """The account, if this is its password; for None, None, in the same time.

    A hash made with parameters of the past is made anew.
    """
    verdict = await means.hasher.verify(account.password_hash if account else None, password)
    await rest()
    if account is None or not verdict.ok:
        return None
    if not verdict.needs_rehash:
        return account
    password_hash = await means.hasher.hash(password)
    async with means.database.write() as tx:
        if await proofs_store.set_password(tx, account.id, old=account.password_hash, new=password_hash):
            return msgspec.structs.replace(account, password_hash=password_hash)
        now = await proofs_store.find(tx, account.id)
    return await prove(means, now, password)


async def enter(tx: Tx, means: Means, account: Account, origin: Context, *, remember_me: bool) -> Login:
    """Open a session for somebody who has proved who they are, unless that is overtaken by now.

    Raises InvalidCredentials when the password was changed or a second factor turned on meanwhile, and
    AccountSuspended.
    """
    now = await proofs_store.lock(tx, account.id)
    if now is None or _proofs_of(now) != _proofs_of(account):
        raise InvalidCredentials
    if now.suspended_at:
        raise AccountSuspended
    await give_way()
    session_id, pair = await grants.open_session(tx, means, now.id, now.role, origin, remember_me=remember_me)
    await give_way()
    tx.emit(LoggedIn(now.id, session_id))
    return Login(UserSummary(now.id, now.username, now.email), pair)


def _proofs_of(account: Account) -> tuple[str, datetime | None]:
    return account.password_hash, account.totp_enabled_at


async def confirm_password(means: Means, user_id: UUID, password: str, origin: Context) -> None:
    """Whoever is signed in as this user also knows the password: a found telephone is not its owner.

    Raises ValidationFailed for the field ``password``, and RateLimited.
    """
    async with means.database.read() as view:
        account = await proofs_store.require(view, user_id)
    await require_password(means, account, password, "password", origin)


async def require_password(
    means: Means, account: Account, password: str, field: str, origin: Context
) -> Account:
    """The account, if this is its password. Raises ValidationFailed for ``field``, and RateLimited.

    Counted apart from logins: whoever guesses from outside keeps nobody who is signed in from changing it.
    """
    key, attempts = str(account.id), means.attempts
    await require_patience(attempts.passwords, key)
    proved = await prove(means, account, password)
    if proved is None:
        await attempts.note_failure(attempts.passwords, key, account.id, origin)
        raise refusal(field, "WRONG_PASSWORD", "This is not your password.")
    await attempts.passwords.succeed(key)
    return proved


def require_good_password(password: str, confirmation: str, username: str, email: str) -> None:
    """Raise ValidationFailed unless this may become the account's password and was typed alike twice."""
    if password != confirmation:
        raise refusal("password_confirm", "PASSWORD_MISMATCH", "The two passwords differ.")
    try:
        check_password(password, username, email)
    except BadValue as error:
        raise refusal("password", error.code, error.message) from None


def refusal(field: str, code: str, message: str) -> ValidationFailed:
    """One field of the request is not right."""
    return ValidationFailed(details=[Detail(field, message, code)])

"""The second factor: setting it up, asking for it, taking it off."""

from datetime import timedelta
from uuid import UUID

from msgspec import UNSET

from veza.access import totp
from veza.access.actor import Member
from veza.access.secrets import Keyring, SecretRefused
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import InvalidToken
from veza.core.events import Context
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.accounts.events import CHANGED
from veza.rooms.sessions import challenge, proofs_store, store
from veza.rooms.sessions.attempts import require_patience, too_soon
from veza.rooms.sessions.errors import (
    InvalidCode,
    PasswordRequired,
    TwoFactorNotSetUp,
    TwoFactorOff,
    TwoFactorOn,
)
from veza.rooms.sessions.events import (
    RecoveryCodeUsed,
    TwoFactorDisabled,
    TwoFactorEnabled,
    TwoFactorPrepared,
    TwoFactorReset,
)
from veza.rooms.sessions.login import enter, refusal, require_password
from veza.rooms.sessions.means import Means
from veza.rooms.sessions.proofs_store import Account
from veza.rooms.sessions.schemas import (
    Enabling,
    Login,
    PasswordAndCode,
    RecoveryCodes,
    SecondFactor,
    TwoFactorSecret,
)

# Who signed in so lately has just shown that they know the password.
JUST_NOW = timedelta(minutes=10)


async def set_up(tx: Tx, means: Means, actor: Member) -> TwoFactorSecret:
    """A new secret, which counts for nothing until a code made with it enables it. Raises TwoFactorOn."""
    account = await proofs_store.require_lock(tx, actor.id)
    if account.two_factor:
        raise TwoFactorOn
    secret = totp.new_totp_secret()
    sealed = means.keyring.seal(secret.encode(), _purpose(account.id))
    await proofs_store.set_totp(tx, account.id, sealed, None, None)
    tx.emit(TwoFactorPrepared(account.id))
    return TwoFactorSecret(secret, totp.provisioning_uri(secret, account.email))


async def enable(means: Means, actor: Member, form: Enabling, origin: Context) -> RecoveryCodes:
    """Ask for the second factor from now on; the first code shows that the app has the secret.

    A found telephone is not its owner, and would keep them out for good: so this takes the password, unless
    that was given within ``JUST_NOW``. Raises TwoFactorOn, TwoFactorNotSetUp, PasswordRequired,
    ValidationFailed and RateLimited.
    """
    async with means.database.read() as view:
        account = await proofs_store.require(view, actor.id)
        began = await store.find_beginning(view, actor.session_id)
    _secret_of(account)
    if form.password is not UNSET:
        await require_password(means, account, form.password, "password", origin)
    # Either way from now, for a clock may have been set back.
    elif began is None or abs(clock.now() - began) > JUST_NOW:
        raise PasswordRequired
    async with means.database.write() as tx:
        tx.context = lambda: origin
        account = await proofs_store.require_lock(tx, actor.id)
        secret = _secret_of(account)
        step = _matched_step(means.keyring, account, form.code)
        if step is None:
            raise refusal("code", "INVALID_CODE", "This code is wrong, or of another time.")
        codes = totp.new_recovery_codes()
        await proofs_store.set_totp(tx, account.id, secret, clock.now(), step)
        await proofs_store.replace_codes(tx, account.id, map(totp.recovery_digest, codes))
        tx.emit(TwoFactorEnabled(account.id))
    return RecoveryCodes("Two-factor login is on; keep the recovery codes in a safe place", codes)


def _secret_of(account: Account) -> bytes:
    """What was set up and is not on yet, sealed. Raises TwoFactorOn and TwoFactorNotSetUp."""
    if account.two_factor:
        raise TwoFactorOn
    if account.totp_secret is None:
        raise TwoFactorNotSetUp
    return account.totp_secret


async def disable(means: Means, actor: Member, form: PasswordAndCode, origin: Context) -> None:
    """Take the second factor off; that takes both. Raises TwoFactorOff, ValidationFailed and RateLimited."""
    async with means.database.read() as view:
        account = await proofs_store.require(view, actor.id)
    if not account.two_factor:
        raise TwoFactorOff
    await require_password(means, account, form.password, "password", origin)
    # Apart from logins: whoever guesses there keeps nobody who is signed in from turning it off.
    codes, key = means.attempts.codes, f"{actor.id} signed in"
    await require_patience(codes, key)
    async with means.database.write() as tx:
        tx.context = lambda: origin
        account = await proofs_store.require_lock(tx, actor.id)
        right = account.two_factor and await _use(tx, means.keyring, account, form.code)
        if right:
            await _take_off(tx, account.id)
            tx.emit(TwoFactorDisabled(account.id))
    if not right:
        await means.attempts.note_failure(codes, key, actor.id, origin)
        raise refusal("code", "INVALID_CODE", "This code is wrong, or was used before.")
    await codes.succeed(key)


async def reset(tx: Tx, user_id: UUID) -> bool:
    """Take the second factor off without either factor, and end all sessions; whether there was one.

    For an operator at the shell: no route leads here, so that no token, an admin's neither, does this over
    HTTP. A login that waits for its second step begins anew. Raises UserNotFound.
    """
    account = await proofs_store.lock(tx, user_id)
    if account is None:
        raise UserNotFound
    if not account.two_factor:
        return False
    await _take_off(tx, account.id)
    # Whoever has turned it on against the owner is signed in, and would do so again.
    await store.revoke_all(tx, account.id)
    tx.emit(TwoFactorReset(account.id))
    tx.notify(CHANGED)
    return True


async def verify(means: Means, form: SecondFactor, origin: Context) -> Login:
    """Complete a login with a code from the app, or with a recovery code.

    A challenge takes five tries, and an account's failures over all challenges slow the next ones: but where
    its owner is signed in already, only those from there. So who found a password out keeps nobody else out.
    Raises InvalidToken for the challenge, InvalidCode, AccountSuspended and RateLimited.
    """
    found = challenge.read(means.tokens, form.challenge_token)
    codes, key = means.attempts.codes, str(found.sub)
    if not await means.attempts.may_answer(found.jti):
        raise InvalidToken
    async with means.database.read() as view:
        known = await store.knows_device(view, found.sub, origin.ip, origin.user_agent)
    wait, place = await codes.check(key), f"{key} {origin.ip}"
    if wait and not known:
        raise too_soon(wait)
    if wait:
        # A code has six digits: who only shares address and program with its owner must not try them all.
        await require_patience(codes, place)
    async with means.database.write() as tx:
        tx.context = lambda: origin
        account = await proofs_store.require_lock(tx, found.sub)
        if not account.two_factor or not challenge.stands(found, account):
            raise InvalidToken
        right = await _use(tx, means.keyring, account, form.code)
        login = await enter(tx, means, account, origin, remember_me=found.remember_me) if right else None
    if login is None:
        await means.attempts.note_failure(codes, key, found.sub, origin)
        raise too_soon(wait) if wait else InvalidCode
    for tried in (key, place):
        await codes.succeed(tried)
    return login


async def _take_off(tx: Tx, user_id: UUID) -> None:
    await proofs_store.set_totp(tx, user_id, None, None, None)
    await proofs_store.replace_codes(tx, user_id, ())


async def _use(tx: Tx, keyring: Keyring, account: Account, code: str) -> bool:
    """Whether the code is right; and if so, it never will be again."""
    step = _matched_step(keyring, account, code)
    if step is not None:
        await proofs_store.set_step(tx, account.id, step)
        return True
    if not await proofs_store.use_code(tx, account.id, totp.recovery_digest(code)):
        return False
    tx.emit(RecoveryCodeUsed(account.id, await proofs_store.count_codes(tx, account.id)))
    return True


def _matched_step(keyring: Keyring, account: Account, code: str) -> int | None:
    if account.totp_secret is None:
        return None
    try:
        secret = keyring.open_sealed(account.totp_secret, _purpose(account.id)).decode()
    except SecretRefused:
        return None  # the server's secret was lost; recovery codes do without it
    return totp.matched_step(secret, code, account.totp_last_step)


def _purpose(user_id: UUID) -> str:
    return f"totp:{user_id}"

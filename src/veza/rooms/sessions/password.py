"""A new password: chosen by somebody who knows the old one, or by the link in a mail."""

from veza.access.actor import Member
from veza.core.db import Tx
from veza.core.errors import Conflict
from veza.core.events import Context
from veza.core.exchange import Exchange
from veza.core.jobs import enqueue
from veza.core.text import email_key
from veza.rooms.accounts import mail_tokens
from veza.rooms.accounts.errors import TokenInvalid
from veza.rooms.sessions import proofs_store, store
from veza.rooms.sessions.events import PasswordChanged, PasswordResetRequested
from veza.rooms.sessions.jobs import SEND_RESET, SendReset
from veza.rooms.sessions.login import require_good_password, require_password
from veza.rooms.sessions.means import Means
from veza.rooms.sessions.schemas import NewPassword, PasswordChange


async def request_reset(tx: Tx, means: Means, email: str, exchange: Exchange) -> None:
    """Have a link sent, if there is such an account: only the job finds that out, so nobody else does.

    Raises RateLimited, for unknown addresses too.
    """
    key = email_key(email)
    if means.mail_limit is not None:
        await means.limiter.admit(means.mail_limit, key, exchange)
    await enqueue(tx, SEND_RESET, SendReset(key))
    tx.emit(PasswordResetRequested())


async def reset(means: Means, form: NewPassword, origin: Context) -> None:
    """Set the password by a mailed token, once, and end every session.

    Raises TokenInvalid, with one message for every reason, and ValidationFailed.
    """
    async with means.database.read() as view:
        account = await proofs_store.find_by_link(view, mail_tokens.RESET, form.token)
    if account is None:
        raise TokenInvalid
    require_good_password(form.password, form.password_confirm, account.username, account.email)
    password_hash = await means.hasher.hash(form.password)
    async with means.database.write() as tx:
        tx.context = lambda: origin
        redeemed = await mail_tokens.redeem(tx, mail_tokens.RESET, form.token)
        now = await proofs_store.lock(tx, redeemed.user_id)
        if now is None or email_key(now.email) != email_key(redeemed.email):
            raise TokenInvalid
        await proofs_store.set_password(tx, now.id, old=now.password_hash, new=password_hash)
        await store.revoke_all(tx, now.id)
        tx.emit(PasswordChanged(now.id, by_mail=True))
        tx.on_commit(lambda: means.authenticator.forget_user(now.id))
    await means.attempts.passwords.succeed(email_key(now.email))


async def change(means: Means, actor: Member, form: PasswordChange, origin: Context) -> None:
    """Set the password and end all sessions but this one.

    Raises ValidationFailed, RateLimited, and Conflict when something else changed it meanwhile.
    """
    async with means.database.read() as view:
        account = await proofs_store.require(view, actor.id)
    require_good_password(form.password, form.password_confirm, account.username, account.email)
    account = await require_password(means, account, form.current_password, "current_password", origin)
    password_hash = await means.hasher.hash(form.password)
    async with means.database.write() as tx:
        tx.context = lambda: origin
        if not await proofs_store.set_password(tx, account.id, old=account.password_hash, new=password_hash):
            raise Conflict
        await store.revoke_all(tx, account.id, spared=actor.session_id)
        await proofs_store.drop_links(tx, mail_tokens.RESET, account.id)
        tx.emit(PasswordChanged(account.id, by_mail=False))
        tx.on_commit(lambda: means.authenticator.forget_user(account.id))

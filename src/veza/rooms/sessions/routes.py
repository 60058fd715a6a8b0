"""Signing up, in and out, and the sessions one is signed in from."""

from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from veza.access.actor import Me
from veza.core.given import given_to
from veza.core.http import InTx, Reply, Route, Said, TheExchange, reply, said
from veza.core.limits import Limit, address_key
from veza.rooms.sessions import grants, login, password, proofs_store, store, two_factor
from veza.rooms.sessions.grants import TokenPair
from veza.rooms.sessions.means import Means, TheMeans, origin_of
from veza.rooms.sessions.schemas import (
    Credentials,
    CurrentUser,
    EmailOnly,
    Enabling,
    Login,
    NewPassword,
    PasswordAndCode,
    PasswordChange,
    RecoveryCodes,
    RefreshToken,
    Registered,
    Registration,
    SecondFactor,
    Sessions,
    TwoFactorSecret,
)
from veza.rooms.sessions.store import Stats


def limit_of(name: str, per_address: Limit | None) -> Limit | None:
    """The limit of logins, registrations or the like: as many for each address, counted by themselves."""
    return per_address and Limit(name, per_address.count, per_address.seconds, strict=True)


def _bounded(name: str) -> Guard:
    """Admits as many of these from one address as ``Means.per_address`` says."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        means: Means = given_to(connection)["means"]
        limit = limit_of(name, means.per_address)
        if limit is not None:
            exchange = connection.scope["veza"]  # type: ignore[typeddict-item]  # ours
            await means.limiter.admit(limit, address_key(exchange.ip), exchange)

    return guard


# What is answered beside the usual: who one is, or that one is suspended, is only found out from the body.
_PROVES = {"also": (401, 403)}


@Route("/auth/register", http_method="POST", status_code=201, guards=[_bounded("register")])
async def register(data: Registration, exchange: TheExchange, means: TheMeans) -> Reply[Registered]:
    """Create an account and sign in."""
    return reply(await login.register(means, data, origin_of(exchange)))


@Route("/auth/login", http_method="POST", status_code=200, guards=[_bounded("login")], opt=_PROVES)
async def log_in(data: Credentials, exchange: TheExchange, means: TheMeans) -> Reply[Login]:
    """Sign in."""
    return reply(await login.log_in(means, data, origin_of(exchange)))


@Route("/auth/2fa/verify", http_method="POST", status_code=200, guards=[_bounded("login")], opt=_PROVES)
async def verify_second_factor(data: SecondFactor, exchange: TheExchange, means: TheMeans) -> Reply[Login]:
    """Complete a login with a second factor."""
    return reply(await two_factor.verify(means, data, origin_of(exchange)))


@Route("/auth/refresh", http_method="POST", status_code=200, opt=_PROVES)
async def refresh(data: RefreshToken, exchange: TheExchange, means: TheMeans) -> Reply[TokenPair]:
    """Exchange a refresh token for the next pair of tokens."""
    return reply(await grants.refresh(means, data.refresh_token, origin_of(exchange)))


@Route("/auth/logout", http_method="POST", status_code=200)
async def log_out(tx: InTx, actor: Me, data: RefreshToken, means: TheMeans) -> Reply[Said]:
    """Sign out: end this session and the one of the refresh token."""
    await grants.log_out(tx, means, actor, data.refresh_token)
    return said("Logged out successfully")


@Route("/auth/me", http_method="GET", status_code=200)
async def show_me(tx: InTx, actor: Me) -> Reply[CurrentUser]:
    """Show who is signed in."""
    return reply(CurrentUser.of(await proofs_store.require(tx, actor.id)))


@Route("/auth/2fa/setup", http_method="POST", status_code=200)
async def set_up_second_factor(tx: InTx, actor: Me, means: TheMeans) -> Reply[TwoFactorSecret]:
    """Make a secret for an authenticator app."""
    return reply(await two_factor.set_up(tx, means, actor))


@Route("/auth/2fa/enable", http_method="POST", status_code=200, opt={"also": (403,)})
async def enable_second_factor(
    actor: Me, data: Enabling, exchange: TheExchange, means: TheMeans
) -> Reply[RecoveryCodes]:
    """Turn two-factor login on and get recovery codes."""
    return reply(await two_factor.enable(means, actor, data, origin_of(exchange)))


@Route("/auth/2fa/disable", http_method="POST", status_code=200)
async def disable_second_factor(
    actor: Me, data: PasswordAndCode, exchange: TheExchange, means: TheMeans
) -> Reply[Said]:
    """Turn two-factor login off."""
    await two_factor.disable(means, actor, data, origin_of(exchange))
    return said("Two-factor login is off")


@Route("/auth/password/forgot", http_method="POST", status_code=200, guards=[_bounded("password")])
async def forgot_password(tx: InTx, data: EmailOnly, exchange: TheExchange, means: TheMeans) -> Reply[Said]:
    """Have a link for a new password sent."""
    await password.request_reset(tx, means, data.email, exchange)
    return said("If there is an account with this address, a link was sent to it")


@Route("/auth/password/reset", http_method="POST", status_code=200, guards=[_bounded("password")])
async def reset_password(data: NewPassword, exchange: TheExchange, means: TheMeans) -> Reply[Said]:
    """Set a new password by the token of such a link."""
    await password.reset(means, data, origin_of(exchange))
    return said("Password changed; sign in with the new one")


@Route("/auth/password/change", http_method="POST", status_code=200)
async def change_password(
    actor: Me, data: PasswordChange, exchange: TheExchange, means: TheMeans
) -> Reply[Said]:
    """Change the password and end all other sessions."""
    await password.change(means, actor, data, origin_of(exchange))
    return said("Password changed; all other sessions have been ended")


@Route("/sessions", http_method="GET", status_code=200)
async def list_sessions(tx: InTx, actor: Me) -> Reply[Sessions]:
    """List the sessions in which one is signed in, newest first."""
    return reply(Sessions.of(await store.list_alive(tx, actor.id), actor.session_id))


@Route("/sessions/stats", http_method="GET", status_code=200)
async def show_stats(tx: InTx, actor: Me) -> Reply[Stats]:
    """Count one's sessions."""
    return reply(await store.count(tx, actor.id))


@Route("/sessions/logout", http_method="POST", status_code=200)
async def end_this_session(tx: InTx, actor: Me, means: TheMeans) -> Reply[Said]:
    """End this session."""
    await grants.log_out(tx, means, actor)
    return said("Logged out successfully")


@Route("/sessions/logout-all", http_method="POST", status_code=200)
async def end_all_sessions(tx: InTx, actor: Me, means: TheMeans) -> Reply[Said]:
    """End all one's sessions, this one too."""
    await grants.revoke_all(tx, means, actor)
    return said("Logged out from all sessions")


@Route("/sessions/{session_id:str}", http_method="DELETE", status_code=200)
async def revoke_session(tx: InTx, actor: Me, session_id: UUID, means: TheMeans) -> Reply[Said]:
    """End one of one's sessions."""
    await grants.revoke(tx, means, actor, session_id)
    return said("Session revoked successfully")


ROUTES = [
    register,
    log_in,
    verify_second_factor,
    refresh,
    log_out,
    show_me,
    set_up_second_factor,
    enable_second_factor,
    disable_second_factor,
    forgot_password,
    reset_password,
    change_password,
    list_sessions,
    show_stats,
    end_this_session,
    end_all_sessions,
    revoke_session,
]

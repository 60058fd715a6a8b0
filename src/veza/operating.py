"""`veza admin` as its operator sees it: what admins do over HTTP, from the shell of the machine itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import SYSTEM
from veza.core.db import Tx
from veza.core.pages import Page
from veza.core.text import clean_text
from veza.rooms.accounts import profiles, suspensions
from veza.rooms.admin import service
from veza.rooms.admin.schemas import MOST_OF_A_REASON
from veza.rooms.reports import service as reports
from veza.rooms.sessions import two_factor
from veza.rooms.webhooks import overview
from veza.rooms.webhooks.schemas import HookTotals, WatchedHook

# As much as somebody reads at once; a question narrows it down.
_MOST = Page(limit=100)

Lines = Sequence[str]
Deed = Callable[..., Awaitable[Lines]]


async def list_users(tx: Tx, *, q: str, role: str | None, status: Any) -> Lines:
    """One line for each user: name, address, role, bytes, and since when suspended."""
    found = await service.list_users(tx, SYSTEM, _MOST, q=q, role=role, state=status)
    lines = [
        f"{user.username}  {user.email}  {user.role}  {user.storage_used:,} bytes"
        + (
            f"  suspended {user.suspended_at:%Y-%m-%d}: {_line(user.suspended_reason)}"
            if user.suspended_at
            else ""
        )
        for user in found.users
    ]
    return [*lines, f"{len(lines)} of {found.pagination.total} users"]


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


async def suspend(tx: Tx, *, username: str, reason: str) -> Lines:
    """Suspend the user with this name. Raises :class:`veza.core.text.BadValue` for what is no reason."""
    why = clean_text(reason, max_chars=MOST_OF_A_REASON, min_chars=1, multiline=True)
    user = await profiles.get_by_username(tx, SYSTEM, username)
    await suspensions.suspend(tx, SYSTEM, user.id, why)
    return [f"suspended {user.username} ({user.id})"]


async def restore(tx: Tx, *, username: str) -> Lines:
    """End that."""
    user = await profiles.get_by_username(tx, SYSTEM, username)
    await suspensions.restore(tx, SYSTEM, user.id)
    return [f"restored {user.username} ({user.id})"]


async def reset_2fa(tx: Tx, *, username: str) -> Lines:
    """Let somebody in by their password alone who cannot give the second factor."""
    user = await profiles.get_by_username(tx, SYSTEM, username)
    if not await two_factor.reset(tx, user.id):
        return [f"{user.username} ({user.id}) has no second factor: nothing was changed"]
    return [
        f"took the second factor of {user.username} ({user.id}) off, and ended all their sessions",
        f"{user.email} is told so by mail",
    ]


async def show_work(tx: Tx) -> Lines:
    """A line for each lane, and one for each kind of job that fails."""
    work = await service.look_at_work(tx, SYSTEM)
    lanes = [
        f"{one.lane}: {one.waiting} to be done, {one.due} due, {one.dead} given up" for one in work.lanes
    ]
    failing = [f"{one.kind}: {one.retrying} tried again, {one.dead} given up" for one in work.failing]
    return [*(lanes or ["nothing to do"]), *failing]


async def retry(tx: Tx, *, kind: str) -> Lines:
    """Have all jobs of a kind tried again that were given up."""
    return [f"{await service.retry_all(tx, SYSTEM, kind)} jobs are tried again"]


async def list_webhooks(tx: Tx, *, state: Any, as_json: bool) -> Lines:
    """A line for each webhook that needs a look, or is in this state, and one for all; or all as JSON."""
    seen = await overview.look(tx, SYSTEM, _MOST, state)
    if as_json:
        return [msgspec.json.format(msgspec.json.encode(seen), indent=2).decode()]
    return [
        *(_hook(one) for one in seen.webhooks),
        f"{len(seen.webhooks)} of {seen.pagination.total} webhooks",
        *_sums(seen.totals),
    ]


def _sums(all_of: HookTotals) -> Lines:
    off = f"{all_of.disabled_by_failures} off since they failed, {all_of.disabled_by_owner} by their owners"
    return [f"{all_of.active} do well, {all_of.failing} fail, {off}", _waits(all_of)]


def _hook(one: WatchedHook) -> str:
    state = f"{one.state} ({one.disabled_reason})" if one.disabled_reason else one.state
    last = one.last_attempt
    parts = [
        *(str(one.id), one.owner.username, one.host, state, _waits(one)),
        *([f"failing since {one.failing_since:%Y-%m-%d %H:%M}"] if one.failing_since else []),
        *([f"last: {last.status or ''} {last.error or 'arrived'}"] if last else []),
    ]
    return "  ".join(" ".join(part.split()) for part in parts)


def _waits(what: HookTotals | WatchedHook) -> str:
    since = f", since {what.oldest_pending_at:%Y-%m-%d %H:%M}" if what.oldest_pending_at else ""
    return f"{what.pending} to be delivered{since}"


async def retry_webhook(tx: Tx, *, webhook_id: UUID) -> Lines:
    """Have a webhook tried again that fails, or was turned off for that."""
    await overview.retry(tx, SYSTEM, webhook_id)
    return [f"webhook {webhook_id} is tried again"]


async def list_reports(tx: Tx) -> Lines:
    """One line for each report that waits."""
    found = await reports.list_reports(tx, SYSTEM, _MOST, "open", None)
    lines = [
        f"{one.created_at:%Y-%m-%d %H:%M}  {one.target_type} {one.target_id}  {one.reason}  {one.id}"
        for one in found.reports
    ]
    return [*lines, f"{len(lines)} of {found.pagination.total} reports wait"]


async def show_storage(tx: Tx) -> Lines:
    """What is stored, and who stores most."""
    seen = await service.look_at_storage(tx, SYSTEM)
    return [
        f"{seen.used:,} bytes of {seen.users} users",
        *(f"tracks {one.status}: {one.tracks:,}, {one.bytes:,} bytes" for one in seen.tracks),
        *(f"{one.username}: {one.storage_used:,} bytes" for one in seen.largest if one.storage_used),
    ]


DEEDS: Mapping[str, Deed] = {
    "list_users": list_users,
    "suspend": suspend,
    "restore": restore,
    "reset_2fa": reset_2fa,
    "show_work": show_work,
    "retry": retry,
    "list_webhooks": list_webhooks,
    "retry_webhook": retry_webhook,
    "list_reports": list_reports,
    "show_storage": show_storage,
}

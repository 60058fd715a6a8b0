"""All SQL by which admins see hooks as a whole: it reads each hook once, and of deliveries only some ends.

No statement reads deliveries that have come to an end, but for the last of each hook on the page.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.webhooks.schemas import HookState
from veza.rooms.webhooks.service import OWNER
from veza.rooms.webhooks.tables import webhook_deliveries, webhook_queues, webhooks

W, Q, D, U = webhooks.c, webhook_queues.c, webhook_deliveries.c, users.c
# Nobody needs to know it more exactly, and to count a million takes seconds.
COUNTED, COUNTED_OF_ONE = 10_000, 1_000


class States(msgspec.Struct, frozen=True):
    """How many hooks are in each state."""

    active: int
    failing: int
    disabled_by_failures: int
    disabled_by_owner: int


class Seen(msgspec.Struct, frozen=True):
    """A hook, its owner, and how it does."""

    id: UUID
    user_id: UUID
    username: str
    url: str
    enabled: bool
    disabled_reason: str | None
    failures: int
    failing_since: datetime | None
    oldest_pending_at: datetime | None


class Depth(msgspec.Struct, frozen=True):
    """How much is to be delivered to a hook, and the attempts of what waits longest and ended last."""

    webhook_id: UUID
    pending: int
    waiting: list[Any] | None
    delivered: list[Any] | None
    failed: list[Any] | None


# Spelt out, for an index of some rows alone serves nobody who does not say which.
_waiting = D.status == sa.literal_column("'waiting'")
_fresh = D.status == sa.literal_column("'fresh'")
_of_hook = D.webhook_id == Q.webhook_id


def _end(
    column: sa.Column[Any], status: sa.ColumnElement[bool], *, newest: bool = False
) -> sa.ScalarSelect[Any]:
    order = D.event_id.desc() if newest else D.event_id
    chosen = sa.select(column).where(_of_hook, status).order_by(order).limit(1)
    return chosen.correlate(webhook_queues).scalar_subquery()


def _counted(chosen: sa.Select[Any]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(chosen.limit(sa.bindparam("most")).subquery())


def _depth(status: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    chosen = sa.select(D.event_id).where(_of_hook, status).correlate(webhook_queues)
    return _counted(chosen).scalar_subquery()


def _number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((condition, 1)))


_on, _off, _fails = W.enabled.is_(True), W.enabled.is_(False), Q.failures > 0
_by_failures = sa.and_(_off, W.disabled_reason != OWNER)
_in_state: dict[HookState, sa.ColumnElement[bool]] = {
    "active": sa.and_(_on, Q.failures == 0),
    "failing": sa.and_(_on, _fails),
    "disabled": _off,
}
_needs_a_look = sa.or_(_in_state["failing"], _by_failures, sa.and_(_on, Q.due_at.is_not(None)))
_both = webhooks.join(webhook_queues, Q.webhook_id == W.id)
_oldest = _end(D.event_at, _waiting)
_STATES = Statement(
    sa.select(
        _number(_in_state["active"]).label("active"),
        _number(_in_state["failing"]).label("failing"),
        _number(_by_failures).label("disabled_by_failures"),
        _number(sa.and_(_off, W.disabled_reason == OWNER)).label("disabled_by_owner"),
    ).select_from(_both),
    States,
    heavy=True,
)
# In the order of an index, for PostgreSQL would else look for them among all deliveries there are.
_all_waiting = sa.select(D.webhook_id).where(_waiting).order_by(D.webhook_id, D.due_at)
_all_fresh = sa.select(D.event_id).where(_fresh).order_by(D.event_id)
_COUNT_WAITING = Statement(_counted(_all_waiting), int, heavy=True)
_COUNT_FRESH = Statement(_counted(_all_fresh), int, heavy=True)
_each = sa.select(_oldest.label("at")).where(Q.due_at.is_not(None)).subquery()
_OLDEST_WAITING = Statement(
    sa.select(_each.c.at).order_by(_each.c.at.nulls_last()).limit(1), datetime, heavy=True
)
_OLDEST_FRESH = Statement(sa.select(D.event_at).where(_fresh).order_by(D.event_id).limit(1), datetime)
_DEPTHS = Statement(
    sa.select(
        Q.webhook_id,
        (_depth(_waiting) + _depth(_fresh)).label("pending"),
        _end(D.attempts, _waiting).label("waiting"),
        _end(D.attempts, D.status == "delivered", newest=True).label("delivered"),
        _end(D.attempts, D.status == "failed", newest=True).label("failed"),
    ).where(any_of(Q.webhook_id, "hooks")),
    Depth,
    heavy=True,
)


async def count_states(tx: Tx) -> States:
    """How many hooks are in each state."""
    return await tx.first(_STATES) or States(0, 0, 0, 0)


async def count_pending(tx: Tx) -> int:
    """How many deliveries are to be made, up to :data:`COUNTED`."""
    waiting, fresh = await tx.first(_COUNT_WAITING, most=COUNTED), await tx.first(_COUNT_FRESH, most=COUNTED)
    return min((waiting or 0) + (fresh or 0), COUNTED)


async def oldest_pending(tx: Tx) -> datetime | None:
    """When the oldest event happened that is still to be delivered; one look for each hook that waits."""
    found = (await tx.first(_OLDEST_WAITING), await tx.first(_OLDEST_FRESH))
    return min((moment for moment in found if moment is not None), default=None)


async def count(tx: Tx, state: HookState | None) -> int:
    """How many hooks are in this state; without one, how many need a look."""
    return await tx.first(_count_statement(state)) or 0


async def page(tx: Tx, page: Page, state: HookState | None) -> list[Seen]:
    """Some of them: first whose oldest event has waited longest, then what was changed last."""
    return await tx.all(_page_statement(state), limit=page.limit, offset=page.offset)


@cache
def _count_statement(state: HookState | None) -> Statement[int]:
    return Statement(sa.select(sa.func.count()).select_from(_both).where(_chosen(state)), int, heavy=True)


@cache
def _page_statement(state: HookState | None) -> Statement[Seen]:
    oldest = _oldest.label("oldest_pending_at")
    hook = (W.id, W.user_id, U.username, W.url, W.enabled, W.disabled_reason)
    chosen = (
        sa.select(*hook, Q.failures, Q.failing_since, oldest)
        .select_from(_both.join(users, U.id == W.user_id))
        .where(_chosen(state))
        .order_by(oldest.nulls_last(), W.updated_at.desc(), W.id)
    )
    limits = (sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "offset"))
    return Statement(chosen.limit(next(limits)).offset(next(limits)), Seen, heavy=True)


def _chosen(state: HookState | None) -> sa.ColumnElement[bool]:
    return _in_state[state] if state else _needs_a_look


async def depths(tx: Tx, hook_ids: Sequence[UUID]) -> dict[UUID, Depth]:
    """How much is to be delivered to these hooks, each up to :data:`COUNTED_OF_ONE`, and how that goes."""
    found = await tx.all(_DEPTHS, hooks=hook_ids, most=COUNTED_OF_ONE)
    return {depth.webhook_id: depth for depth in found}

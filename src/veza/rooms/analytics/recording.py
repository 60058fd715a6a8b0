"""Keeping what applications tell: bounded, and durable when it is acknowledged."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.core.limits import PersonalLimit
from veza.core.text import BadValue
from veza.rooms.accounts import service as accounts
from veza.rooms.analytics import store
from veza.rooms.analytics.schemas import EventDraft, check_name

MOST_BYTES, MOST_DEEP = 8_192, 5
# What a row takes besides its name and payload: ids, a time, and its places in three indexes.
ROW_BYTES = 100
_TOO_MUCH = "Your applications have told as much as is kept for you; wait as long as Retry-After says."


class Intake:
    """How much the applications of one user may tell: ``often`` counts requests, ``much`` bytes to keep."""

    def __init__(self, often: PersonalLimit, much: PersonalLimit) -> None:
        self._often = often
        self._much = much

    async def admit(self, who: UUID, exchange: Exchange, drafts: Sequence[EventDraft]) -> None:
        """Count these, also where they turn out to be a repetition: the disk is not asked here.

        Raises ValidationFailed for a payload that is too long or too deep, RateLimited, and PayloadTooLarge
        for more than may be told at all.
        """
        await self._often.hit(who, exchange)
        await self._much.take(who, weigh(drafts), _TOO_MUCH)


def weigh(drafts: Sequence[EventDraft]) -> int:
    """How many bytes it takes to keep these. Raises ValidationFailed."""
    total = 0
    details: list[Detail] = []
    for turn, draft in enumerate(drafts):
        where = f"events.{turn}." if len(drafts) > 1 else ""
        try:
            check_name(draft.event_name)
        except BadValue as bad:
            details.append(Detail(f"{where}event_name", bad.message, bad.code))
        if _depth(draft.payload) > MOST_DEEP:
            said = f"Must not be deeper than {MOST_DEEP} levels."
            details.append(Detail(f"{where}payload", said, "TOO_DEEP"))
            continue
        size = len(msgspec.json.encode(draft.payload))
        if size > MOST_BYTES:
            said = f"Must not have more than {MOST_BYTES:,} bytes."
            details.append(Detail(f"{where}payload", said, "TOO_LARGE"))
        total += ROW_BYTES + len(draft.event_name) + size
    if details:
        raise ValidationFailed(details=details)
    return total


async def record(tx: Tx, actor: Member, drafts: Sequence[EventDraft]) -> None:
    """Keep these, which were admitted; all or none."""
    await accounts.stay_signed_in(tx, actor)
    now = clock.now()
    rows = [
        {
            "id": new_id(), "user_id": actor.id, "event_name": draft.event_name, "payload": draft.payload,
            "created_at": now,
        }
        for draft in drafts
    ]  # fmt: skip
    await store.add(tx, rows)


def _depth(value: object) -> int:
    level, here = 0, [value]
    while here := [one for one in here if isinstance(one, dict | list)]:
        level += 1
        here = [inner for one in here for inner in (one.values() if isinstance(one, dict) else one)]
    return level

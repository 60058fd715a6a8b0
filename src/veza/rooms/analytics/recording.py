"""Keeping what applications tell: bounded, and durable when it is acknowledged."""

from collections.abc import Iterator, Sequence

import msgspec

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.ids import new_id
from veza.core.text import BadValue
from veza.rooms.accounts import service as accounts
from veza.rooms.analytics import store
from veza.rooms.analytics.schemas import EventDraft, check_name

MOST_BYTES, MOST_DEEP = 8_192, 5


async def record(tx: Tx, actor: Member, drafts: Sequence[EventDraft]) -> None:
    """Keep these; all or none. Raises ValidationFailed for a payload that is too long or too deep."""
    if len(drafts) == 1:
        details = list(_problems(drafts[0], ""))
    else:
        details = [one for turn, draft in enumerate(drafts) for one in _problems(draft, f"events.{turn}.")]
    if details:
        raise ValidationFailed(details=details)
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


def _problems(draft: EventDraft, where: str) -> Iterator[Detail]:
    try:
        check_name(draft.event_name)
    except BadValue as bad:
        yield Detail(f"{where}event_name", bad.message, bad.code)
    if _depth(draft.payload) > MOST_DEEP:
        yield Detail(f"{where}payload", f"Must not be deeper than {MOST_DEEP} levels.", "TOO_DEEP")
    elif len(msgspec.json.encode(draft.payload)) > MOST_BYTES:
        yield Detail(f"{where}payload", f"Must not have more than {MOST_BYTES:,} bytes.", "TOO_LARGE")


def _depth(value: object) -> int:
    level, here = 0, [value]
    while here := [one for one in here if isinstance(one, dict | list)]:
        level += 1
        here = [inner for one in here for inner in (one.values() if isinstance(one, dict) else one)]
    return level

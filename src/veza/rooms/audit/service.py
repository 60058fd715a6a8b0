"""Who reads the log, and what they find in it."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, require
from veza.core.db import Tx
from veza.core.errors import InvalidRequest
from veza.core.pages import Page
from veza.rooms.audit import search_store as store
from veza.rooms.audit.events import AuditExported
from veza.rooms.audit.filters import Wanted
from veza.rooms.audit.rows import Entry, entry_of
from veza.rooms.audit.schemas import LogEntry, LogPage, LogStanding, LogStats, shown
from veza.rooms.audit.sealing import ALL


class _Log(msgspec.Struct, frozen=True):
    """One user's part of the log."""

    user_id: UUID


def own(actor: Member, wanted: Wanted) -> Wanted:
    """What is asked for, of the actor's own log. Raises Forbidden where another's is named.

    Who may read everybody's may name anybody's.
    """
    require(actor, Action.SEE_AUDIT, _Log(wanted.user_id or actor.id))
    return msgspec.structs.replace(wanted, user_id=wanted.user_id or actor.id)


def everybodys(actor: Actor, wanted: Wanted) -> Wanted:
    """What is asked for, of everybody's log. Raises Forbidden."""
    require(actor, Action.SEE_ALL_AUDIT)
    return wanted


async def list_logs(tx: Tx, wanted: Wanted, page: Page) -> LogPage:
    """A page of the log, the latest first; what waits for its seal comes before the rest.

    Raises :class:`InvalidRequest` for what lies too deep: it is reached by an earlier ``end_date``.
    """
    if page.offset + page.limit > store.MOST:
        raise InvalidRequest(
            f"Pages end at the {store.MOST}th row: ask for an earlier end_date instead of more pages."
        )
    waiting = await list_waiting(tx, wanted)
    first = waiting[page.offset : page.offset + page.limit]
    sealed, exact = await _count(tx, wanted)
    rest: list[Entry] = []
    if len(first) < page.limit:
        rest = await store.page(tx, wanted, page.limit - len(first), max(page.offset - len(waiting), 0))
    # What was sealed between the two looks is in both.
    seen = {entry.id for entry in rest}
    found = [*(entry for entry in first if entry.id not in seen), *rest]
    place = page.of(sealed + len(waiting))
    standing = LogStanding(place.page, place.limit, place.total, place.total_pages, exact)
    return LogPage([shown(entry) for entry in found], standing)


async def list_waiting(tx: Tx, wanted: Wanted) -> list[Entry]:
    """What waits for its seal, the latest first."""
    entries = (entry_of(event) for event in await store.list_waiting(tx))
    return [entry for entry in entries if wanted.takes(entry)]


async def _count(tx: Tx, wanted: Wanted) -> tuple[int, bool]:
    """How many sealed rows there are, and whether that is all of them: kept where it can be."""
    if set(wanted.names) <= {"user_id", "kind"}:
        counts = await store.list_counts(tx, wanted.user_id or ALL)
        return sum(one.total for one in counts if wanted.kind in {None, one.kind}), True
    total = await store.count(tx, wanted)
    return min(total, store.MOST), total <= store.MOST


async def get_stats(tx: Tx, wanted: Wanted) -> LogStats:
    """How many rows of each kind there are, of a user or of everybody."""
    waiting = await list_waiting(tx, wanted)
    counts = Counter(entry.kind for entry in waiting)
    for one in await store.list_counts(tx, wanted.user_id or ALL):
        counts[one.kind] += one.total
    return LogStats(counts.total(), dict(sorted(counts.items())), len(waiting))


async def note_export(note: Tx, wanted: Wanted) -> None:
    """Write down that somebody takes rows with them that are not only their own."""
    async with note:
        note.emit(AuditExported(wanted.user_id))


async def iterate(view: Tx, user_id: UUID) -> Iterator[LogEntry]:
    """The latest of somebody's log, as much of it as pages reach; of a snapshot."""
    wanted = Wanted(user_id=user_id)
    found = await list_waiting(view, wanted) + await store.page(view, wanted, store.MOST, 0)
    return map(shown, found[: store.MOST])

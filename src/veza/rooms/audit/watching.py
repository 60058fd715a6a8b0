"""Goes through the log as it grows, and finds what looks like an attack; each row is looked at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.ids import new_id
from veza.rooms.audit import watching_store as store
from veza.rooms.audit.detectors import MOST_SHOWN, Detector, Sign
from veza.rooms.audit.events import SuspiciousActivityFound
from veza.rooms.audit.rows import Entry
from veza.rooms.audit.watching_store import Finding

PIECE = 500
# No window is longer; what is older says nothing about what happens now.
KEPT = timedelta(days=1)


async def watch(database: Database, detectors: Sequence[Detector]) -> None:
    """Look at what was sealed since the last time."""
    while await _look(database, detectors):
        pass


async def _look(database: Database, detectors: Sequence[Detector]) -> bool:
    """A piece at a time, each in a transaction with what is found in it; whether there may be more."""
    async with database.write() as tx:
        seen = await store.lock_place(tx)
        entries = await store.list_after(tx, seen, PIECE)
        if not entries:
            return False
        fresh = signs_of(detectors, entries, clock.now() - KEPT)
        await store.add_signs(tx, [sign for signs in fresh.values() for sign in signs])
        for detector in detectors:
            for key in [key for kind, key in fresh if kind == detector.kind]:
                await _judge(tx, detector, key, fresh[detector.kind, key])
        await store.move(tx, entries[-1].seq, clock.now() - KEPT)
    return len(entries) == PIECE


def signs_of(
    detectors: Sequence[Detector], entries: Iterable[Entry], since: datetime
) -> Mapping[tuple[str, str], list[Sign]]:
    """What these rows are signs of, by kind and key, in the order of time."""
    found: dict[tuple[str, str], list[Sign]] = defaultdict(list)
    for entry in entries:
        if entry.created_at >= since:
            for detector in detectors:
                sign = detector.sign_of(entry)
                if sign is not None:
                    found[sign.kind, sign.key].append(sign)
    for signs in found.values():
        signs.sort(key=lambda sign: sign.at)
    return found


async def _judge(tx: Tx, detector: Detector, key: str, fresh: Sequence[Sign]) -> None:
    """Go on with a finding that is not over, or begin one where there are too many by now.

    What an admin has acknowledged is over: whatever comes after it has to be too many by itself.
    """
    since = fresh[0].at - detector.window
    last = await store.find_last(tx, detector.kind, key, since)
    if last is not None and last.acknowledged_at is None:
        await _go_on(tx, detector, last, [sign for sign in fresh if sign.at > last.last_seen])
        return
    known = await store.list_signs(tx, detector.kind, key, since)
    burst = detector.burst([sign for sign in known if last is None or sign.at > last.last_seen])
    # Whoever leaves deletes all that is theirs, and may.
    if burst and not (detector.kind == "mass_deletions" and await store.has_left(tx, UUID(key))):
        await _begin(tx, detector, key, burst)


async def _go_on(tx: Tx, detector: Detector, finding: Finding, later: Sequence[Sign]) -> None:
    if later:
        evidence = detector.evidence(later, finding.count + len(later))
        for name in ("addresses", "accounts"):
            all_of_them = dict.fromkeys([*finding.evidence[name], *evidence[name]])
            evidence[name] = list(all_of_them)[:MOST_SHOWN]
        await store.go_on(tx, finding, len(later), later[-1].at, evidence)


async def _begin(tx: Tx, detector: Detector, key: str, burst: Sequence[Sign]) -> None:
    addresses = {sign.ip for sign in burst}
    finding = Finding(
        id=new_id(),
        kind=detector.kind,
        severity=detector.severity,
        user_id=_account(key),
        ip_address=(addresses.pop() or None) if len(addresses) == 1 else None,
        count=len(burst),
        first_seen=burst[0].at,
        last_seen=burst[-1].at,
        evidence=detector.evidence(burst, len(burst)),
        acknowledged_at=None,
        acknowledged_by=None,
        note=None,
    )
    await store.add(tx, finding, key)
    tx.emit(SuspiciousActivityFound(finding.id, finding.kind, finding.severity, finding.user_id))


def _account(key: str) -> UUID | None:
    """The user whose id a key is; None for an address."""
    try:
        return UUID(key)
    except ValueError:
        return None

"""Is the log what was sealed? From its first row to its last, and what waits beside it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.core.db import Database, Tx
from veza.core.db.types import FIRST, LAST
from veza.rooms.audit import sealing_store, verifying_store
from veza.rooms.audit.events import AuditPurged
from veza.rooms.audit.sealing import Sealer
from veza.rooms.audit.sealing_store import State
from veza.rooms.audit.verifying_store import Purge, Sealed

PIECE = 1_000


class Head(msgspec.Struct, frozen=True):
    """Where the log ended at some time, as somebody wrote it down elsewhere: a number and its seal."""

    seq: int
    mac: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """What ``str`` gives. Raises ValueError."""
        seq, _, mac = text.partition(":")
        known = cls(int(seq), mac.strip().lower())
        if known.seq < 0:
            raise ValueError(text)
        return known


class Verdict(msgspec.Struct, frozen=True):
    """What was found: so many rows are right, from ``first`` on, until a ``problem`` or the ``head``."""

    rows: int
    first: int
    head: Head
    waiting: int
    problem: str = ""


async def verify(database: Database, sealer: Sealer, known: Head | None = None) -> Verdict:
    """Check every row, up to the first that is wrong, and that the log holds the row that was ``known``."""
    # At one moment: else a purge that is sealed in between is neither among what waits nor among the rows.
    async with database.snapshot() as view:
        state = await sealing_store.find_state(view)
        trace = await _trace(view, sealer, state)
    walk = _Walk(sealer, state, known)
    problem = trace or await walk.go(database) or _end(sealer, state, walk)
    async with database.read() as view:
        waiting = await verifying_store.count_queued(view)
        problem = problem or await _beside(view) or walk.timeless
    return Verdict(walk.right, state.purged_seq + 1, Head(walk.seq, walk.mac.hex()), waiting, problem)


async def _trace(view: Tx, sealer: Sealer, state: State) -> str:
    """What is wrong with the beginning: rows that were purged have left a trace."""
    if state.purged_seq == 0:
        return ""
    problem = f"rows up to {state.purged_seq} are gone, and no purge that this server sealed tells of it"
    for purge in await verifying_store.list_purges(view, state.head_seq):
        try:
            if _tells(purge, sealer, state):
                return ""
        except KeyError:  # perhaps another one tells of it, too
            problem = f"that rows up to {state.purged_seq} are gone was sealed with a secret that is not here"
    return problem


def _tells(purge: Purge, sealer: Sealer, state: State) -> bool:
    """Whether a purge was of the rows that are gone. Raises KeyError for a secret that is not here."""
    try:
        told = msgspec.json.decode(purge.data, type=AuditPurged)
    except (msgspec.MsgspecError, RecursionError):  # nothing that Veza wrote
        return False
    if (told.up_to, told.mac) != (state.purged_seq, state.purged_mac.hex()):
        return False
    if told.seal:
        return sealer.is_purge(told.seal, state.purged_seq, state.purged_mac)
    return sealer.knew_no_better(purge.mac)


def _end(sealer: Sealer, state: State, walk: "_Walk") -> str:
    """What is wrong with the end, where nobody purged beyond it meanwhile."""
    if state.head_seq < state.purged_seq:  # read as of one moment: a purge ends where there are rows
        return f"the log ends at {state.head_seq}, but rows up to {state.purged_seq} were purged from it"
    if walk.seq != state.head_seq:
        return ""
    try:
        if state.head_mac.startswith(walk.mac) and sealer.is_end(state):
            return ""
    except KeyError:
        return f"that the log ends at {state.head_seq} was sealed with a secret that is not here"
    return f"row {walk.seq} is not where the log was sealed to end: what came after it is gone"


async def _beside(view: Tx) -> str:
    """What is wrong outside the seals: rows before or after them, or events that were never queued."""
    before = await verifying_store.find_before_beginning(view)
    if before is not None:
        return f"row {before} was inserted before the beginning of the log"
    after = await verifying_store.find_after_head(view)
    if after is not None:
        return f"row {after} was inserted after the end of the log"
    stray: UUID | None = await verifying_store.find_stray(view)
    return f"event {stray} was inserted past the log, or taken out of its queue" if stray else ""


class _Walk:
    """Goes along the log, piece by piece, while others may add to it and purge it."""

    def __init__(self, sealer: Sealer, state: State, known: Head | None) -> None:
        self.sealer = sealer
        self.seq, self.mac = state.purged_seq, state.purged_mac
        self.end = state.head_seq
        self.known = known
        self.right = 0
        # Of the first row with a time that there is not. It stays for as long as the log is kept, so whatever
        # else is wrong is said before it.
        self.timeless = ""

    async def go(self, database: Database) -> str:
        """What is wrong first; nothing when all is right."""
        if self.known is not None and self._is_gone(self.known):
            return f"row {self.known.seq} was purged, and what it was cannot be said: give a later head"
        while self.seq < self.end:
            async with database.read() as view:
                rows = await verifying_store.list_from(view, self.seq, self.end, PIECE)
                state = await sealing_store.find_state(view)
            if state.purged_seq > self.seq:  # meanwhile
                self.seq, self.mac = state.purged_seq, state.purged_mac
                continue
            problem = self._check(rows)
            if problem:
                return problem
        if self.known is not None and self.known.seq > self.end:
            return f"row {self.known.seq} is missing: the log ends at {self.end}"
        return ""

    def _is_gone(self, known: Head) -> bool:
        """Whether a row is before all that are here; nothing is known by an empty log's head."""
        return 0 < known.seq <= self.seq and known != Head(self.seq, self.mac.hex())

    def _check(self, rows: Sequence[Sealed]) -> str:
        if not rows:
            return f"row {self.seq + 1} is missing"
        for row in rows:
            problem = self._look_at(row)
            if problem:
                return problem
            self.seq, self.mac = row.entry.seq, row.mac
            self.right += 1
        return ""

    def _look_at(self, row: Sealed) -> str:
        entry = row.entry
        if entry.seq != self.seq + 1:
            return f"row {self.seq + 1} is missing"
        said = f"row {entry.seq} ({entry.kind}, {entry.id}, {entry.created_at:%Y-%m-%d %H:%M:%S} UTC)"
        try:
            right = self.sealer.is_right(entry, row.mac, self.mac)
        except KeyError:
            return f"{said} was sealed with a secret that is not here"
        if not right:
            return f"{said} is not what was sealed, or stands in another's place"
        if entry.created_at in {FIRST, LAST} and not self.timeless:
            self.timeless = f"{said} was written by somebody else: there is no such time"
        if self.known is not None and self.known == Head(entry.seq, self.known.mac):
            return "" if row.mac.hex() == self.known.mac else f"{said} has another seal than was known"
        return ""

"""Sealing: every event gets a number and a seal, which is of it and of all before it.

A row is in ``events`` with the commit of what it tells of, and in a queue beside it. Once a second whoever
works behind the API takes what is queued, in the order of ids, and writes it to the log. So nobody who
changes something waits for anybody else's row, as they would if each were chained in its own transaction.

A seal is an HMAC under a key of the server's secret: whoever can write to the database alone can neither
change a row nor make the log anew. Where the log ends is sealed as well, under another key, and only there:
no row tells how to seal an end at it, so rows cannot be cut off unnoticed either. Under a third key that
rows were purged is told: what is cut off at the beginning without that is missed. Versions that did not seal
their purges yet sealed rows under another key than those that do: what they told of is theirs still.
"""

import asyncio
import hmac
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from veza.access.secrets import Keyring
from veza.core.db import Database, Tx
from veza.core.db.types import to_micros
from veza.core.turns import give_way
from veza.rooms.audit import sealing_store as store
from veza.rooms.audit.rows import Entry, Happened, entry_of
from veza.rooms.audit.sealing_store import State

log = structlog.get_logger()

# Some milliseconds of the one writer, and a moment for others after each.
PIECE = 200
PAUSE = 0.05
# After so many rows, a third of a millisecond, whoever waits for the event loop goes first.
FEW = 5
EVERY = 1.0
# Everybody, among the scopes of kept counts.
ALL = UUID(int=0)
GENESIS = b""
# Bytes of a seal: the key's id, and the HMAC.
_SEAL = 4 + 32
# After an end that is not right rows follow this, which is no row's: so that it is always found.
_BROKEN = b"broken"


class Sealer:
    """Makes and checks seals; runs for as long as a process works."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        before = _by_id(keyring, "audit")
        self._before_purges = frozenset(before)
        self._keys = _marked(_by_id(keyring, "audit.row")) | before
        self._ends, self._purges = (
            _marked(keys) | keys
            for keys in (_by_id(keyring, purpose) for purpose in ("audit.end", "audit.purge"))
        )
        self._first = next(iter(self._keys))

    async def run(self) -> None:
        """Seal what is queued, again and again, until cancelled."""
        while True:
            more = False
            try:
                more = await self.seal()
            except Exception:
                log.exception("audit.sealing_failed")  # it stays queued
            await asyncio.sleep(PAUSE if more else EVERY)

    async def seal(self) -> bool:
        """Seal a piece of what is queued; whether there may be more."""
        async with self._database.read() as view:
            if not await store.is_queued(view):
                return False
        async with self._database.write() as tx:
            head = await store.lock_state(tx)  # and so one at a time, whoever else works
            await give_way()
            events = await store.list_queued(tx, PIECE)
            await give_way()
            if events:
                await self._write(tx, events, head)
        return len(events) == PIECE

    def _before(self, state: State) -> bytes:
        try:
            right = self.is_end(state)
        except KeyError:  # whether it is, only whoever has that secret can say
            log.warning("audit.sealed_with_another_secret", seq=state.head_seq)
            right = True
        if right:
            return state.head_mac[:_SEAL]
        log.error("audit.end_was_changed", seq=state.head_seq)
        return _BROKEN

    async def _write(self, tx: Tx, events: Sequence[Happened], head: State) -> None:
        seq, mac, counts = head.head_seq, self._before(head), Counter[tuple[UUID, str]]()
        for at in range(0, len(events), FEW):
            rows = []
            for event in events[at : at + FEW]:
                seq += 1
                entry = entry_of(event, seq)
                mac = self.mac(entry, mac)
                rows.append({**msgspec.structs.asdict(entry), "mac": mac})
                counts[ALL, entry.kind] += 1
                if entry.user_id is not None:
                    counts[entry.user_id, entry.kind] += 1
            await give_way()
            await store.append(tx, rows)
            await give_way()
        await store.move_head(tx, seq, self.end(seq, mac))
        changes = list(counts.items())
        for at in range(0, len(changes), FEW):
            await store.count(tx, dict(changes[at : at + FEW]))
            await give_way()

    async def knows_end(self, view: Tx) -> bool:
        """Whether the log, if anything is in it, was last sealed with a secret that is here."""
        mac = (await store.find_state(view)).head_mac
        return not mac or mac[: len(self._first)] in self._keys

    async def seal_all(self) -> None:
        """Seal all that is queued now."""
        while await self.seal():
            pass

    def mac(self, entry: Entry, before: bytes, key_id: bytes | None = None) -> bytes:
        """The seal of a row that follows the one with the seal ``before``: the key's id, and the HMAC.

        Raises KeyError for a key that this server does not have.
        """
        key_id = key_id or self._first
        message = before + msgspec.json.encode([*_plain(entry)])
        return key_id + hmac.digest(self._keys[key_id], message, "sha256")

    def is_right(self, entry: Entry, mac: bytes, before: bytes) -> bool:
        """Whether a row has the seal that it should have. Raises KeyError as :meth:`mac`."""
        return hmac.compare_digest(self.mac(entry, before, mac[: len(self._first)]), mac)

    def end(self, seq: int, mac: bytes) -> bytes:
        """What is kept of a log that ends with the row of this number and seal: that, and a seal of the end.

        Raises KeyError as :meth:`mac`.
        """
        return mac + hmac.digest(self._ends[mac[: len(self._first)]], b"%d:%b" % (seq, mac), "sha256")

    def purge(self, seq: int, mac: bytes, key_id: bytes | None = None) -> str:
        """The seal of having purged all up to this row. Raises KeyError as :meth:`mac`."""
        key_id = self._first if key_id is None else key_id
        return (key_id + hmac.digest(self._purges[key_id], b"%d:%b" % (seq, mac), "sha256")).hex()

    def is_purge(self, seal: str, seq: int, mac: bytes) -> bool:
        """Whether this server sealed that it purged all up to that row. Raises KeyError as :meth:`mac`."""
        try:
            told = bytes.fromhex(seal)
        except ValueError:
            return False
        if len(told) != _SEAL:
            return False
        return hmac.compare_digest(bytes.fromhex(self.purge(seq, mac, told[: len(self._first)])), told)

    def knew_no_better(self, mac: bytes) -> bool:
        """Whether the row with this seal is of a version that did not seal its purges yet, if it is right.

        The id of a key is no secret: only of a row whose whole seal is checked does this say anything.
        """
        return mac[: len(self._first)] in self._before_purges

    def is_end(self, state: State) -> bool:
        """Whether the log was sealed to end there. Raises KeyError as :meth:`mac`."""
        mac = state.head_mac[:_SEAL]
        if state.head_seq == 0:
            return True
        return hmac.compare_digest(self.end(state.head_seq, mac), state.head_mac)


def _by_id(keyring: Keyring, purpose: str) -> dict[bytes, bytes]:
    return {bytes.fromhex(key_id): key for key_id, key in keyring.derive(purpose)}


def _marked(keys: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Keys of the same secrets by other ids: those of versions that seal their purges."""
    return {bytes(byte ^ 0xFF for byte in key_id): key for key_id, key in keys.items()}


def _plain(entry: Entry) -> Sequence[object]:
    return [
        to_micros(value) if name == "created_at" else value
        for name, value in msgspec.structs.asdict(entry).items()
    ]

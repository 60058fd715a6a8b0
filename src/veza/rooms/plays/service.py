"""What counts as a play, and what is known of all of them.

A play is kept and counted once: the same listener and track within half a minute is the same play, which is
then as long as the longest that was told. The owner's own plays are in the statistics, which are of all
plays, but not in ``play_count``, by which the charts are sorted.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, InvalidToken, ValidationFailed, VezaError
from veza.core.ids import new_id
from veza.core.jobs import NoPayload, enqueue
from veza.rooms.accounts import service as accounts
from veza.rooms.plays import store, sums_store
from veza.rooms.plays.kinds import ADD_UP, ADD_UP_AFTER
from veza.rooms.plays.schemas import PlayDraft, Stats
from veza.rooms.plays.store import Day
from veza.rooms.tracks import counts
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.counts import Heard, Totals

# A player's clock and its buffers may run on: what it tells may be so much longer than the track.
SLACK, MORE_MS = 1.1, 1_000
WHOLE = 1_000_000


class Play(msgspec.Struct, frozen=True):
    """Who listened to what, and what their player told."""

    listener: Member
    track_id: UUID
    told: PlayDraft
    country: str | None = None


async def record(tx: Tx, actor: Member, track_id: UUID, told: PlayDraft, country: str | None = None) -> UUID:
    """Keep one play; its id, or that of the play which it repeats.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound`, ``TrackNotReady``, and
    :class:`veza.core.errors.ValidationFailed` for what is longer than the track.
    """
    (outcome,) = await record_all(tx, [Play(actor, track_id, told, country)])
    if isinstance(outcome, VezaError):
        raise outcome
    return outcome


async def record_all(tx: Tx, plays: Sequence[Play]) -> list[UUID | VezaError]:
    """Keep plays together; for each its id, or what :func:`record` would raise for it alone."""
    # Users, then tracks, then listeners, then sums, each in one order: nobody waits for somebody who waits.
    people = await accounts.stay(tx, {play.listener.id for play in plays})
    tracks_ = await counts.hold(tx, {play.track_id for play in plays})
    book = _Book()
    outcomes: dict[int, UUID | VezaError] = {}
    for turn, play in sorted(enumerate(plays), key=_order):
        try:
            if play.listener.id not in people:
                raise InvalidToken
            track = counts.check_audible(play.listener, tracks_.get(play.track_id))
            outcomes[turn] = await book.enter(tx, track, play)
        except VezaError as error:
            if error.status >= 500:  # noqa: PLR2004 - the database's, and so everybody's
                raise
            outcomes[turn] = error
    await book.close(tx)
    return [outcomes[turn] for turn in range(len(plays))]


def _order(turn: tuple[int, Play]) -> tuple[int, int]:
    return turn[1].track_id.int, turn[1].listener.id.int


class _Book:
    """What a transaction adds: rows and sums, written once at its end."""

    def __init__(self) -> None:
        self.rows: dict[UUID, dict[str, Any]] = {}
        self.fresh: list[dict[str, Any]] = []
        self.totals: dict[UUID, Totals] = defaultdict(Totals)
        self.days: dict[tuple[UUID, int], Day] = defaultdict(Day)

    async def enter(self, tx: Tx, track: Heard, play: Play) -> UUID:
        told, user_id = play.told, play.listener.id
        heard_ms, part = _measure(track, told.duration)
        play_id, at = new_id(), clock.now()
        counted = await store.count(tx, track.id, user_id, play_id, at, heard_ms)
        if counted is None:
            return await self._repeat(tx, track, user_id, heard_ms, part)
        self.rows[play_id] = {
            "listener_id": counted.id, "id": play_id, "at": at, "heard_ms": heard_ms, "part": part,
            "device": told.device or None,
        }  # fmt: skip
        more = {
            "plays": 1, "part_before": None, "source": told.source, "country": play.country,
            "track_id": track.id,
        }  # fmt: skip
        self.fresh.append(self.rows[play_id] | more)
        totals = self.totals[track.id]
        totals.plays += 1
        totals.listeners += counted.plays == 1
        totals.charted += user_id != track.user_id
        self.days[track.id, store.day_of(at)].plays += 1
        self._hear(track.id, at, heard_ms, part)
        return play_id

    async def _repeat(self, tx: Tx, track: Heard, user_id: UUID, heard_ms: int, part: int) -> UUID:
        first = await store.last(tx, track.id, user_id)
        assert first is not None  # it was in the way of the one that repeats it
        if heard_ms > first.last_ms:
            await store.lengthen(tx, first, heard_ms, part)
            if first.last_play in self.rows:  # of this very transaction, and not yet written
                self.rows[first.last_play] |= {"heard_ms": heard_ms, "part": part}
            more, before = heard_ms - first.last_ms, _part(track, first.last_ms)
            self._hear(track.id, first.last_at, more, part - before)
            self.fresh.append({
                "id": new_id(), "listener_id": first.id, "at": first.last_at, "plays": 0, "heard_ms": more,
                "part": part, "part_before": before, "device": None, "source": None, "country": None,
                "track_id": track.id,
            })  # fmt: skip
        return first.last_play

    def _hear(self, track_id: UUID, at: datetime, heard_ms: int, part: int) -> None:
        for sums in (self.totals[track_id], self.days[track_id, store.day_of(at)]):
            sums.heard_ms += heard_ms
            sums.parts += part

    async def close(self, tx: Tx) -> None:
        if self.rows:
            await store.add(tx, list(self.rows.values()))
        if self.fresh:
            await enqueue(tx, ADD_UP, NoPayload(), delay=ADD_UP_AFTER, unique_key=ADD_UP.name)
            await sums_store.add_fresh(tx, self.fresh)
        await counts.add_plays(tx, self.totals)
        await store.add_days(tx, self.days)


def _measure(track: Heard, seconds: float) -> tuple[int, int]:
    """Milliseconds heard, and which part of the track that is, in millionths."""
    heard_ms = round(seconds * 1000)
    if heard_ms > track.duration * 1000 * SLACK + MORE_MS:
        said = f"The track has only {track.duration:.1f} seconds."
        raise ValidationFailed(details=[Detail("duration", said, "TOO_LONG")])
    return heard_ms, _part(track, heard_ms)


def _part(track: Heard, heard_ms: int) -> int:
    """Which part of the track so many milliseconds are, in millionths; never more than the whole."""
    length_ms = round(track.duration * 1000)
    return min(heard_ms * WHOLE // length_ms, WHOLE) if length_ms else WHOLE


async def get_stats(tx: Tx, actor: Actor, track_id: UUID) -> Stats:
    """The statistics of a track that ``actor`` may see."""
    await tracks.get_visible(tx, actor, track_id)
    found = await counts.totals(tx, track_id)
    plays = found.plays or 1
    return Stats(
        total_plays=found.plays,
        unique_listeners=found.listeners,
        average_duration=round(found.heard_ms / plays / 1000, 3),
        completion_rate=round(found.parts / plays / WHOLE * 100, 2),
    )

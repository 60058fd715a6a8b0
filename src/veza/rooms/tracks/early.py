"""The first seconds, before the last are encoded: pieces of renditions in the storage while they are made.

A worker on any machine stores what has come of the renditions about once a second, as one file, and writes
down what is in it. As all renditions have a fixed cut, a listener's playlist is complete from then on; a
piece that is not there yet is on its way, and one that somebody waits for far from there is made ahead of its
turn, with a minute of what follows it. When the track is ready, its pieces are parts of the renditions, byte
for byte the same but for those that were made ahead, and the early ones go.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import structlog

from veza.core import clock
from veza.core.db import Database
from veza.core.errors import VezaError
from veza.core.ids import new_id
from veza.core.storage import Storage
from veza.media import Growing
from veza.rooms.tracks import files_store, store
from veza.rooms.tracks.schemas import Early, EarlyPart, EarlyRendition, Wish
from veza.rooms.tracks.wishes import open_wishes

log = structlog.get_logger()

# Seconds between two publications, and what part of the time so far: a long track is published less often.
EVERY, SHARE = 1.0, 0.1


class Publisher:
    """Makes heard what there is of a track's renditions; a help, which never fails the work."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        track_id: UUID,
        folder: str,
        attempt: int,
        turn: asyncio.Lock,
    ) -> None:
        self._database = database
        self._storage = storage
        self._track_id = track_id
        # Of this try alone: one that was given back or put off had the same number, and is heard by what is
        # written down of it until this one writes down its own.
        self._folder = f"{folder}/{attempt}-{new_id().hex}"
        self._attempt = attempt
        self._turn = turn  # to make pieces ahead, one track at a time
        self._leaps = True
        self._parts: dict[str, list[EarlyPart]] = {}
        self._known: dict[str, int] = {}  # how many pieces of each are published, the head among them
        self._count = 0
        self._begun: float | None = None
        self._due = 0.0

    async def __call__(self, growing: Sequence[Growing]) -> None:
        """Hear what there is; publish it, if it is time to, and make what somebody waits for."""
        now = clock.monotonic()
        if self._begun is None:
            # What is encoded in a second need not be heard before.
            self._begun, self._due = now, now + EVERY / 2
        try:
            wish = await self._latest_wish()
            made = wish is not None and self._has_made(growing, wish)
            if self._is_news(growing) and (made or now >= self._due):
                await self._publish(growing)
            if wish is not None and not made:
                await self._leap(growing, wish)
        except (VezaError, OSError) as error:
            log.info("track.early_failed", track_id=str(self._track_id), error=type(error).__name__)

    def _is_news(self, growing: Sequence[Growing]) -> bool:
        """Each has a fragment, and one has more than before."""
        counts = {one.name: len(one.fragments.sizes) + 1 for one in growing}
        return min(counts.values()) > 1 and counts != self._known

    async def _latest_wish(self) -> Wish | None:
        if not (self._parts and self._leaps):
            return None
        async with self._database.read() as view:
            pieces = await files_store.find_early(view, self._track_id)
        return next(reversed(open_wishes(pieces)), None) if pieces else None

    def _has_made(self, growing: Sequence[Growing], wish: Wish) -> bool:
        """It has come in its turn, and only has to be published."""
        return any(one.name == wish.rendition and wish.piece <= len(one.fragments.sizes) for one in growing)

    async def _leap(self, growing: Sequence[Growing], wish: Wish) -> None:
        """Make what is wished for, unless another track is at it; if that fails, it is not tried again."""
        ahead = next((one.ahead for one in growing if one.name == wish.rendition), None)
        if ahead is None or self._turn.locked():
            return
        self._leaps = False
        async with self._turn:
            pieces = await ahead(wish.piece)
        self._count += 1
        key = f"{self._folder}/{self._count}"
        await self._storage.put_bytes(key, b"".join(pieces))
        self._parts[wish.rendition].append(
            EarlyPart(key, 0, wish.piece, [len(piece) for piece in pieces], ahead=True)
        )
        await self._write_down(growing)
        self._leaps = True

    async def _publish(self, growing: Sequence[Growing]) -> None:
        self._count += 1
        key, path = f"{self._folder}/{self._count}", self._storage.scratch / f"early-{new_id().hex}"
        try:
            parts = await asyncio.to_thread(_bundle, growing, self._known, key, path)
            await self._storage.put_file(key, path)
        finally:
            now = clock.monotonic()
            self._due = now + max(EVERY, SHARE * (now - (self._begun or now)))
            await asyncio.to_thread(path.unlink, missing_ok=True)
        for name, part in parts.items():
            self._parts.setdefault(name, []).append(part)
            self._known[name] = part.end
        await self._write_down(growing)

    async def _write_down(self, growing: Sequence[Growing]) -> None:
        renditions = {
            one.name: EarlyRendition(
                one.codec, one.bitrate, one.samples, one.fragments.timing, self._parts[one.name]
            )
            for one in growing
        }
        async with self._database.write() as tx:
            track = await store.lock(tx, self._track_id)
            if track is None or track.status != "processing":
                return
            before = await files_store.find_early(tx, self._track_id)
            wishes = open_wishes(Early(renditions, before.wishes)) if before else []
            await files_store.keep_early(tx, self._track_id, self._attempt, Early(renditions, wishes))


def _bundle(growing: Sequence[Growing], known: dict[str, int], key: str, path: Path) -> dict[str, EarlyPart]:
    """Write what is new of each into one file; what it holds."""
    parts: dict[str, EarlyPart] = {}
    with path.open("wb") as file:
        for one in growing:
            fragments, first = one.fragments, known.get(one.name, 0)
            sizes = [len(fragments.head), *fragments.sizes][first:]
            parts[one.name] = EarlyPart(key, file.tell(), first, sizes)
            with fragments.path.open("rb") as source:
                source.seek(fragments.find(first))
                file.write(source.read(sum(sizes)))
    return parts

"""Tracks for a world: real small files, and tracks planted in any state without processing them."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import obstore
import pytest

from tests.media.corpus import BY_NAME, make
from tests.world import JSON, Person, World
from veza.access.actor import Member
from veza.core.ids import new_id
from veza.core.installation import STAMPS
from veza.core.storage import LocalStorage
from veza.media import FORMATS, Layout, Peaks, Sniffed
from veza.rooms.tracks import service, store
from veza.rooms.tracks.jobs import ProcessTrack, cover_key, give_up, original_key, peaks_key
from veza.rooms.tracks.schemas import UploadForm

BYTES = bytes(range(256)) * 40
RENDITION = b"rendition " * 300
LAYOUT = Layout(rate=1000, head=100, index=50, sizes=[1000, 1850], ticks=[4000, 2500])
PEAKS = Peaks(44_100, 882, bytes(range(100)))
JPEG = b"\xff\xd8\xff a cover"
NOBODY = "01890000-0000-7000-8000-000000000000"
GIB = 1 << 30


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A file of the corpus, a third of a second long, made when first asked for. Never change it: copy it."""
    folder = tmp_path_factory.mktemp("short")
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = make(BY_NAME[name], folder, 0.35)
        return made[name]

    return get


async def plant(
    world: World,
    owner: Person,
    status: str = "ready",
    *,
    public: bool = True,
    form: str = "mp3",
    **fields: Any,
) -> str:
    """A track in this state, with files that only look like audio; its id."""
    parts, track_id = world.parts, new_id()
    await parts.storage.put_bytes(original_key(track_id), BYTES)
    actor = Member(id=UUID(owner.id), session_id=new_id(), username=owner.username, role="user")
    upload = service.Upload(track_id, "planted.mp3", len(BYTES), Sniffed(FORMATS[form]))
    wanted = UploadForm(is_public=public, **{"title": "Planted", **fields})
    rows = []
    for name in ("aac_160", "aac_96", "opus_128", "flac"):
        row = {"name": name, "key": f"tracks/{track_id}/1/{name}", "mime": "audio/mp4", "codec": "x"}
        rows.append(row | {"bitrate": 1, "size": len(RENDITION), "layout": LAYOUT})
        if status == "ready":
            await parts.storage.put_bytes(str(row["key"]), RENDITION)
    if status == "ready":
        await parts.storage.put_bytes(peaks_key(track_id), PEAKS.to_dat())
        await parts.storage.put_bytes(cover_key(track_id, 320), JPEG)
    async with parts.database.write() as tx:
        track = await service.add_track(tx, actor, upload, wanted, GIB)
        if status == "ready":
            await store.set_renditions(tx, track_id, rows)
            await store.change(tx, track, {"status": "ready", "progress": 100, "has_cover": True})
        if status == "failed":
            await give_up(tx, ProcessTrack(track_id, "", ""))
    return str(track_id)


class Slow:
    """A listener who takes the head of an answer, and the rest only when told so."""

    def __init__(self, app: Any, path: str) -> None:
        self.begun, self.go, self.leave = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.body = b""
        self.task = asyncio.create_task(self._listen(app, f"/api/v1{path}"))

    async def _listen(self, app: Any, path: str) -> None:
        path, _, query = path.partition("?")
        asked = False
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
            "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": query.encode(),
            "headers": [], "client": ("127.0.0.1", 1), "server": ("veza.test", 80), "state": {},
        }  # fmt: skip

        async def receive() -> JSON:
            nonlocal asked
            if asked:
                await self.leave.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: JSON) -> None:
            self.body += message.get("body", b"")
            self.begun.set()
            await self.go.wait()

        await app(scope, receive, send)


def files(world: World, track_id: str = "") -> list[str]:
    """The keys of all stored files, or of a track's; and whatever lies in scratch, if that is with them."""
    storage = world.parts.storage
    if isinstance(storage, LocalStorage):
        # `walk` does not mind what goes away meanwhile.
        found = (Path(top) / name for top, _, names in os.walk(storage.folder) for name in names)
        names = sorted(str(path.relative_to(storage.folder)) for path in found)
    else:
        names = sorted(meta["path"] for page in obstore.list(storage._store) for meta in page)
    return [name for name in names if track_id in name and not name.startswith(("avatars", STAMPS))]


async def used(world: World, person: Person) -> int:
    """The bytes that count as this person's."""
    data = (await person.get(f"/tracks/quota/{person.id}")).json()["data"]
    return int(data["quota"]["used"])


async def settled(world: World, check: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until ``check`` holds."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


async def check_counts(world: World) -> None:
    """The kept counts are what a count of the rows gives, for every filter there is."""
    database = world.parts.database
    kept = dict(await database.rows("SELECT scope, total FROM track_counts WHERE total <> 0"))
    rows = await database.rows("SELECT id FROM tracks")
    counted: dict[str, int] = {}
    async with database.read() as view:
        for (raw,) in rows:
            track = await store.find(view, raw if isinstance(raw, UUID) else UUID(bytes=bytes(raw)))
            assert track is not None
            for scope in store.scopes_of(track):
                counted[scope] = counted.get(scope, 0) + 1
    assert kept == counted
    users = await database.rows("SELECT COUNT(*) FROM users")
    assert await database.rows("SELECT total FROM user_counts") == users


def code(answer: Any) -> tuple[int, str]:
    """Status and error code of an answer."""
    return answer.status_code, answer.json()["error"]["code"]

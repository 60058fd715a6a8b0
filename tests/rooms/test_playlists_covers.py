"""Covers of playlists: uploaded, or made of the covers of tracks that everybody sees."""

import asyncio
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image

from tests.rooms.listening_house import until
from tests.rooms.playlists_house import make, put
from tests.rooms.test_tracks_pictures import picture
from tests.rooms.tracks_house import code, files, plant
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.rooms.playlists import covers
from veza.rooms.playlists.jobs import sweep_files
from veza.rooms.tracks.jobs import cover_key

COLOURS = ("red", "lime", "blue", "black", "white")

RGB = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}
RGB |= {"black": (0, 0, 0), "white": (255, 255, 255)}


async def covered(world: World, owner: Person, colour: str, **more: Any) -> str:
    """A track with a cover of this colour, as if from its tags."""
    track, jpeg = await plant(world, owner, **more), BytesIO()
    Image.new("RGB", (320, 200), colour).save(jpeg, "JPEG")
    await world.parts.storage.put_bytes(cover_key(UUID(track), 320), jpeg.getvalue())
    return track


def corners(answer: httpx.Response) -> list[str]:
    """The colours of the four quarters."""
    assert answer.status_code == 200, answer.text
    image = Image.open(BytesIO(answer.content)).convert("RGB")
    width, height = image.size
    spots = [(x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [nearest(image.getpixel(spot)) for spot in spots]


def nearest(pixel: Any) -> str:
    """What this colour is called."""
    return min(RGB, key=lambda name: sum(abs(a - b) for a, b in zip(RGB[name], pixel, strict=True)))


async def test_a_mosaic_is_of_what_everybody_sees(database: Database, tmp_path: Path) -> None:
    """P1, P16: of the first four with a cover; another one when these change; never of what is hidden."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        playlist = await make(world, olga)
        at = f"/playlists/{playlist}/cover"
        assert code(await olga.get(at)) == (404, "PLAYLIST_COVER_NOT_FOUND")
        hidden = await covered(world, olga, "white", public=False)
        tracks = [await covered(world, olga, colour) for colour in COLOURS]
        await put(world, olga, playlist, [hidden, *tracks[:3]])
        assert corners(await olga.get(at)) == ["red"] * 4
        await put(world, olga, playlist, tracks[3:])
        first = await world.guest.get(at)
        assert corners(first) == list(COLOURS[:4])
        assert (
            await world.guest.get(at, headers={"If-None-Match": first.headers["etag"]})
        ).status_code == 304
        assert corners(await stan.get(f"{at}?size=96")) == corners(await stan.get(f"{at}?size=1000"))
        assert (await olga.put(f"/tracks/{tracks[0]}", json={"is_public": False})).status_code == 200
        for person in (world.guest, olga):
            assert corners(await person.get(at)) == list(COLOURS[1:])
        assert (await olga.put(f"/playlists/{playlist}", json={"is_public": False})).status_code == 200
        assert code(await world.guest.get(at)) == (404, "PLAYLIST_NOT_FOUND")
        assert "public" not in (await olga.get(at)).headers["cache-control"]
        assert (await olga.get(f"{at}?size=5")).status_code == 400


async def test_no_cover_is_of_a_hidden_user(database: Database, tmp_path: Path) -> None:
    """P16: in place of a mosaic with theirs the first cover of another, of which no cache tells others."""
    async with open_world(database, tmp_path) as world:
        olga, stan, bert = [await world.person(name) for name in ("olga", "stan", "bert")]
        playlist = await make(world, olga)
        at = f"/playlists/{playlist}/cover"
        theirs = await covered(world, bert, "red")
        own = [await covered(world, olga, colour) for colour in COLOURS[1:4]]
        await put(world, olga, playlist, [theirs, *own])
        assert corners(await stan.get(at)) == list(COLOURS[:4])
        assert (await stan.post(f"/users/{bert.id}/block")).status_code == 200
        seen = await stan.get(at)
        assert corners(seen) == ["lime"] * 4
        assert "public" not in seen.headers["cache-control"]
        for person in (world.guest, olga, bert):
            assert corners(await person.get(at)) == list(COLOURS[:4])
        for track in own:
            assert (await olga.delete(f"/playlists/{playlist}/tracks/{track}")).status_code == 200
        assert code(await stan.get(at)) == (404, "PLAYLIST_COVER_NOT_FOUND")
        assert corners(await bert.get(at)) == ["red"] * 4


async def test_what_is_made_waits_for_nothing_that_is_being_made(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mosaic that is there is answered meanwhile; of very many that are not, some are refused."""
    monkeypatch.setattr(covers, "_MOST_WAITING", 1)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        tracks = [await covered(world, olga, colour) for colour in COLOURS]
        made, *others = [await make(world, olga) for _ in range(4)]
        for n, playlist in enumerate((made, *others)):
            await put(world, olga, playlist, [*tracks[n:], *tracks[:n]])
        assert (await olga.get(f"/playlists/{made}/cover")).status_code == 200
        make_mosaic, let = covers.make_mosaic, asyncio.Event()

        async def make_late(*given: Any) -> dict[int, bytes]:
            await let.wait()
            return await make_mosaic(*given)

        monkeypatch.setattr(covers, "make_mosaic", make_late)
        asked = [asyncio.create_task(olga.get(f"/playlists/{one}/cover")) for one in others]
        refused, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert [code(one.result()) for one in refused] == [(503, "SERVICE_UNAVAILABLE")]
        assert (await olga.get(f"/playlists/{made}/cover")).status_code == 200
        let.set()
        assert [(await one).status_code for one in waiting] == [200, 200]


async def test_an_uploaded_cover_takes_its_place(database: Database, tmp_path: Path) -> None:
    """U10: re-encoded and squared; its files go with it, and with the playlist."""
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        playlist = await make(world, olga)
        at = f"/playlists/{playlist}/cover"
        assert code(await olga.put(at, files={"file": ("c.png", b"<svg/>")})) == (422, "UNSUPPORTED_IMAGE")
        for colour in ("red", "blue"):
            answer = await olga.put(at, files={"file": ("c.png", picture(colour))})
            assert answer.json()["data"]["playlist"]["id"] == str(playlist)
            assert corners(await world.guest.get(at)) == [colour] * 4
        sent = await olga.post("/uploads", files={"file": ("c.png", picture("lime"))})
        upload = sent.json()["data"]["upload_id"]

        async def checked() -> bool:
            return bool((await olga.put(at, json={"upload_id": upload})).status_code == 200)

        await until(checked)
        assert corners(await world.guest.get(at)) == ["lime"] * 4

        async def tidy() -> bool:
            return len([one for one in files(world, str(playlist)) if "/cover/" in one]) == 3

        await until(tidy)
        # What nothing names is swept after a day; an operator's own file is in nobody's way.
        storage = world.parts.storage
        for stray in (f"playlists/{playlist}/cover/{playlist}/96.jpg", "playlists/readme/1"):
            await storage.put_bytes(stray, b"x")
        await sweep_files(database, storage, timedelta(days=1))
        assert len(files(world, "playlists")) == 5
        await sweep_files(database, storage, timedelta(0))
        assert len(files(world, "playlists")) == 3
        assert (await olga.delete(at)).status_code == 200
        assert (await olga.delete(at)).status_code == 200
        assert code(await olga.get(at)) == (404, "PLAYLIST_COVER_NOT_FOUND")
        assert (await olga.put(at, files={"file": ("c.png", picture("red"))})).status_code == 200
        assert (await olga.delete(f"/playlists/{playlist}")).status_code == 200

        async def gone() -> bool:
            return files(world, str(playlist)) == []

        await until(gone)

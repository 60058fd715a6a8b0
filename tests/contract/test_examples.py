"""The examples of the contract about tracks, comments, search, uploads, sales and playlists, replayed."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.check import ENDPOINTS, JSON_BODY
from tests.contract.replay import Replay
from tests.contract.test_examples_people import SECTIONS as PEOPLE
from tests.rooms.listening_house import song
from tests.rooms.market_house import bought, offer_track
from tests.rooms.tracks_house import NOBODY, plant
from tests.rooms.uploads_house import Sender, wave
from tests.world import Person, open_world
from veza.core.db import Database

SECTIONS = ("Track", "Search", "Comment", "Upload", "Marketplace")


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> Any:
    async with open_world(database, tmp_path) as opened:
        yield opened


def test_every_section_is_replayed() -> None:
    assert {*SECTIONS, "Playlist", *PEOPLE} == {one["section"] for one in ENDPOINTS}


HTML = "is text/html; charset=utf-8, not"


@pytest.mark.parametrize(
    ("name", "kind", "sent", "wrong"),
    [
        ("GET /tracks", JSON_BODY, {"html": "<p>Sorry"}, f"{HTML} application/json"),
        ("GET /tracks", JSON_BODY, {"json": []}, "answer is [], not like {"),
        ("GET /tracks/{id}/download", "audio/mpeg", {"html": "<p>Sorry"}, f"{HTML} audio/mpeg"),
        ("GET /tracks/{id}/download", "audio/mpeg", {"json": {}}, "is application/json, not audio/mpeg"),
    ],
)
async def test_an_answer_of_another_kind_is_wrong(name: str, kind: str, sent: Any, wrong: str) -> None:
    """Also of a download, of which the document shows no answer, but says that its kind is appropriate."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **sent))
    replay = Replay("Track")
    async with httpx.AsyncClient(transport=transport, base_url="http://veza.test") as client:
        await replay.ask(Person(client, {}), name, NOBODY, kind=kind)
    assert wrong in replay.wrong[0]


async def test_tracks_and_what_is_done_with_them(world: Any) -> None:
    """Each by those whom it is for: the owner, a listener, or a guest where no token is asked for."""
    owner, listener, guest = await world.person("johndoe"), await world.person("listener"), world.guest
    replay = Replay(*SECTIONS)
    ask, narrow = replay.ask, replay.narrow
    track = await song(world, owner, length=180.0)
    first, second, third, *gone = [await plant(world, owner, genre="Electronic") for _ in range(6)]
    await ask(owner, "PUT /tracks/{id}", track)
    await owner.put(f"/tracks/{track}", json={"title": "My title", "genre": "Electronic"})
    for name in ("POST /tracks/{id}/like", "POST /tracks/{id}/play"):
        await ask(listener, name, track)
    said = await ask(listener, "POST /tracks/{id}/comments", track)
    await ask(owner, "POST /tracks", files={"file": ("My Track.wav", wave(1_000))})

    sender = Sender(owner, wave(1_000), 100, "my-track.mp3")
    await ask(owner, "POST /tracks/initiate")
    assert (await sender.start()).status_code == 200
    chunk = {"chunk": ("blob", sender.chunk(1))}
    await ask(owner, "POST /tracks/chunk", files=chunk, **sender.fields(1))
    await ask(owner, "GET /tracks/resume/{uploadId}", sender.id)
    await sender.send_all()
    await ask(owner, "POST /tracks/complete", upload_id=sender.id)
    await ask(owner, "GET /tracks/quota/{id}", owner.id)

    await ask(guest, "GET /tracks")
    await narrow(guest, "GET /tracks", user_id=owner.id)
    for name in ("GET /tracks/search", "GET /search"):
        await ask(guest, name, query={"q": "title"})
        await narrow(guest, name)
    for name in ("", "/stats", "/likes", "/comments"):
        await ask(guest, f"GET /tracks/{{id}}{name}", track)
    await ask(guest, "GET /tracks/{id}/download", track, kind="audio/mpeg")
    await ask(owner, "GET /tracks/{id}/status", track)

    file = await ask(owner, "POST /uploads", files={"file": ("a.txt", b"hello")})
    await ask(owner, "GET /uploads/{id}/status", file["data"]["upload_id"])

    sold = await ask(owner, "POST /marketplace/products", track_id=third)
    other = await offer_track(world, owner, second)
    await ask(owner, "PUT /marketplace/products/{id}", sold["data"]["id"])
    await ask(guest, "GET /marketplace/products")
    await narrow(guest, "GET /marketplace/products", seller_id=owner.id)
    order = await ask(listener, "POST /marketplace/orders", items=[{"product_id": other["id"]}])
    await bought(listener, sold["data"]["id"])
    await ask(listener, "GET /marketplace/orders")
    await ask(listener, "GET /marketplace/orders/{id}", order["data"]["id"])
    await ask(listener, "GET /marketplace/download/{product_id}", sold["data"]["id"])

    await ask(listener, "DELETE /comments/{id}", said["data"]["comment"]["id"])
    await ask(listener, "DELETE /tracks/{id}/like", track)
    await ask(owner, "DELETE /tracks/{id}", first)
    await ask(owner, "POST /tracks/batch/delete", track_ids=gone)
    assert replay.wrong == [], "\n".join(replay.wrong)


async def test_playlists(world: Any) -> None:
    """In the order in which somebody would ask."""
    owner, other = await world.person("johndoe"), await world.person("collaborator")
    replay = Replay("Playlist")
    ask = replay.ask
    tracks = [await song(world, owner) for _ in range(3)]
    made = (await ask(owner, "POST /playlists"))["data"]["playlist"]["id"]
    for track in tracks:
        await ask(owner, "POST /playlists/{id}/tracks", made, track_id=track)
    theirs = (await ask(other, "POST /playlists"))["data"]["playlist"]["id"]
    await ask(other, "POST /playlists/{id}/tracks", theirs, track_id=tracks[0])
    await ask(owner, "PUT /playlists/{id}/tracks/reorder", made, track_ids=tracks[::-1])
    for name in ("GET /playlists", "GET /playlists/search"):
        await ask(owner, name)
        await replay.narrow(owner, name, user_id=owner.id, q="playlist")
    await ask(owner, "GET /playlists/{id}", made)
    await ask(owner, "GET /playlists/recommendations")
    await replay.narrow(owner, "GET /playlists/recommendations", limit="10")
    await ask(owner, "POST /playlists/{id}/collaborators", made, user_id=other.id)
    await ask(owner, "GET /playlists/{id}/collaborators", made)
    await ask(owner, "PUT /playlists/{id}/collaborators/{userId}", made, other.id)
    await ask(owner, "POST /playlists/{id}/share", made)
    await ask(owner, "DELETE /playlists/{id}/collaborators/{userId}", made, other.id)
    await ask(owner, "DELETE /playlists/{id}/tracks/{track_id}", made, tracks[0])
    await ask(owner, "PUT /playlists/{id}", made)
    await ask(owner, "DELETE /playlists/{id}", made)
    assert replay.wrong == [], "\n".join(replay.wrong)

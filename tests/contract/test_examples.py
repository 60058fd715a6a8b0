"""The examples of the contract about tracks, comments, search, uploads, sales and playlists, replayed.

An answer has the status and every key of its example, each of the example's type; it may have more.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.check import ENDPOINTS, name_of
from tests.rooms.listening_house import song
from tests.rooms.market_house import bought, offer_track
from tests.rooms.tracks_house import plant
from tests.rooms.uploads_house import Sender, wave
from tests.world import open_world
from veza.core.db import Database

SECTIONS = {"Track", "Search", "Comment", "Upload", "Marketplace"}
# First what others then show, and at last what takes it away.
ORDER = ("PUT", "POST", "GET", "DELETE")
# What a listener does; the rest is the owner's.
LISTENING = (
    "/like",
    "/play",
    "/comments",
    "/comments/{id}",
    "/orders",
    "/orders/{id}",
    "/download/{product_id}",
)
EXAMPLES = {name_of(one).replace("/api/v1", ""): one for one in ENDPOINTS if one["section"] in SECTIONS}

PLAYLIST_EXAMPLES = {
    name_of(one).replace("/api/v1", ""): one for one in ENDPOINTS if one["section"] == "Playlist"
}
PLAYLISTS = (
    "POST /playlists", "POST /playlists/{id}/tracks", "PUT /playlists/{id}/tracks/reorder", "GET /playlists",
    "GET /playlists/search", "GET /playlists/{id}", "GET /playlists/recommendations",
    "POST /playlists/{id}/collaborators", "GET /playlists/{id}/collaborators",
    "PUT /playlists/{id}/collaborators/{userId}", "POST /playlists/{id}/share",
    "DELETE /playlists/{id}/collaborators/{userId}", "DELETE /playlists/{id}/tracks/{track_id}",
    "PUT /playlists/{id}", "DELETE /playlists/{id}",
)  # fmt: skip


def misfits(example: Any, answer: Any, where: str = "answer") -> Iterator[str]:
    """Where an answer lacks what its example has, or has it of another type."""
    if example == "...":
        return
    if isinstance(example, dict) and isinstance(answer, dict):
        for key, value in example.items():
            if key in answer:
                yield from misfits(value, answer[key], f"{where}.{key}")
            else:
                yield f"{where}.{key} is missing"
    elif isinstance(example, list) and isinstance(answer, list):
        if example and not answer and example != ["..."]:
            yield f"{where} is empty"
        for value in answer if example else ():
            yield from misfits(example[0], value, f"{where}[]")
    elif kind_of(example) is not kind_of(answer):
        yield f"{where} is {answer!r}, not like {example!r}"


def kind_of(value: Any) -> type:
    """The type as JSON has it: all numbers are of one."""
    return float if type(value) is int else type(value)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> Any:
    async with open_world(database, tmp_path) as opened:
        yield opened


async def test_every_example_is_answered_as_it_is_written(world: Any) -> None:
    """Each by those whom it is for: the owner, a listener, or a guest where no token is asked for."""
    owner, listener = await world.person("johndoe"), await world.person("listener")
    track = await song(world, owner, length=180.0)
    gone = [await plant(world, owner, genre="Electronic") for _ in range(6)]
    *gone, first, second, third = gone
    sender = Sender(owner, wave(1_000), 100, "my-track.mp3")
    assert (await sender.start()).status_code == 200
    comment = (await listener.post(f"/tracks/{track}/comments", json={"content": "Fine"})).json()
    sold = await offer_track(world, owner, first, title="My Product", description="A great track for sale")
    order = await bought(listener, sold["id"])
    other = await offer_track(world, owner, second)
    file = await owner.post("/uploads", files={"file": ("a.txt", b"hello")})
    ids = {
        "/tracks/quota/{id}": owner.id, "/tracks/resume/{uploadId}": sender.id,
        "/comments/{id}": comment["data"]["comment"]["id"],
        "/marketplace/products/{id}": sold["id"], "/marketplace/orders/{id}": order["id"],
        "/marketplace/download/{product_id}": sold["id"],
        "/uploads/{id}/status": file.json()["data"]["upload_id"],
    }  # fmt: skip
    chunk = {"data": sender.fields(1), "files": {"chunk": ("blob", sender.chunk(1))}}
    special: dict[str, dict[str, Any]] = {
        "POST /tracks": {"files": {"file": ("My Track.wav", wave(1_000))}},
        "POST /tracks/chunk": chunk, "POST /tracks/complete": {"json": {"upload_id": sender.id}},
        "POST /tracks/batch/delete": {"json": {"track_ids": gone[1:]}},
        "POST /marketplace/products": {
            "json": EXAMPLES["POST /marketplace/products"]["request"] | {"track_id": third}
        },
        "POST /marketplace/orders": {"json": {"items": [{"product_id": other["id"]}]}},
        "POST /uploads": {"files": {"file": ("a.txt", b"hello")}},
        "GET /search": {"params": {"q": "title"}}, "GET /tracks/search": {"params": {"q": "title"}},
    }  # fmt: skip
    wrong = []
    for name in sorted(EXAMPLES, key=lambda name: ORDER.index(name.partition(" ")[0])):
        example = EXAMPLES[name]
        method, _, path = name.partition(" ")
        if name == "POST /tracks/complete":
            await sender.send_all()
        person = (listener if path.endswith(LISTENING) else owner) if example["auth"] else world.guest
        thing = ids.get(path) or (gone[0] if name == "DELETE /tracks/{id}" else track)
        place = re.sub(r"{\w+}", thing, path)
        asked = special.get(name) or ({"json": example["request"]} if example["request"] else {})
        answer = await person.client.request(method, place, **asked)
        if answer.status_code != example["status"]:
            wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        elif example["response"] is not None:
            wrong += [f"{name}: {why}" for why in misfits(example["response"], answer.json())]
    assert wrong == [], "\n".join(wrong)


async def test_every_example_about_playlists_is_answered_as_it_is_written(world: Any) -> None:
    """In the order in which somebody would ask."""
    owner, other = await world.person("johndoe"), await world.person("collaborator")
    tracks = [await song(world, owner) for _ in range(3)]
    wrong = []
    made = (await owner.post("/playlists", json={"title": "Mine", "description": "M"})).json()["data"][
        "playlist"
    ]["id"]
    for track in tracks[1:]:
        await owner.post(f"/playlists/{made}/tracks", json={"track_id": track})
    theirs = (await other.post("/playlists", json={"title": "Theirs", "description": "T"})).json()["data"][
        "playlist"
    ]["id"]
    await other.post(f"/playlists/{theirs}/tracks", json={"track_id": tracks[0]})
    special = {
        "POST /playlists/{id}/tracks": {"track_id": tracks[0]},
        "PUT /playlists/{id}/tracks/reorder": {"track_ids": tracks[::-1]},
        "POST /playlists/{id}/collaborators": {"user_id": other.id, "permission": "write"},
    }
    for name in PLAYLISTS:
        example = PLAYLIST_EXAMPLES[name]
        method, _, path = name.partition(" ")
        place = path.replace("{id}", made).replace("{track_id}", tracks[0]).replace("{userId}", other.id)
        body = special.get(name, example["request"])
        answer = await owner.client.request(method, place, **({"json": body} if body else {}))
        if answer.status_code != example["status"]:
            wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        elif example["response"] is not None:
            wrong += [f"{name}: {why}" for why in misfits(example["response"], answer.json())]
    assert wrong == [], "\n".join(wrong)
    assert PLAYLIST_EXAMPLES.keys() == set(PLAYLISTS)

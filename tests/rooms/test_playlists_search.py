"""Finding playlists: the public ones by everybody, the private ones by those who work on them."""

from pathlib import Path
from typing import Any

from tests.rooms.search_house import check_index
from tests.world import PASSWORD, Person, open_world
from veza.core.db import Database
from veza.rooms.search.build import rebuild


async def made(person: Person, title: str, **fields: Any) -> str:
    answer = await person.post("/playlists", json={"title": title, **fields})
    return str(answer.json()["data"]["playlist"]["id"])


async def titles(person: Person, **query: Any) -> list[str]:
    answer = await person.get("/playlists/search", params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["total"], data["page"]) == (len(data["playlists"]), 1)
    return [one["title"] for one in data["playlists"]]


async def test_playlists_are_found_by_their_titles(database: Database, tmp_path: Path) -> None:
    """P1, Q2, Q3: right after a change; private ones by nobody but their owner and collaborators."""
    async with open_world(database, tmp_path) as world:
        olga, wil, stan = [await world.person(name) for name in ("olga", "wil", "stan")]
        evening = await made(olga, "Café evening")
        await made(olga, "Evening walk")
        secret = await made(olga, "Secret evening", is_public=False)
        other = await made(stan, "Evenings of mine", is_public=False)
        assert (await stan.post(f"/playlists/{evening}/follow")).status_code == 200
        rights = {"user_id": wil.id, "permission": "read"}
        assert (await olga.post(f"/playlists/{secret}/collaborators", json=rights)).status_code == 200
        public = ["Café evening", "Evening walk"]  # what is followed first
        assert await titles(olga, q="even") == ["Secret evening", *public]
        await rebuild(database)
        await check_index(world)
        assert await titles(wil, q="EVENING") == ["Secret evening", *public]
        assert await titles(stan, q="even") == ["Evenings of mine", *public]
        assert await titles(stan, q="cafe even") == ["Café evening"]
        assert await titles(stan, q="cfae") == ["Café evening"], "typos are forgiven"
        assert await titles(wil, q="even", is_public="false") == ["Secret evening"]
        assert await titles(wil, q="even", is_public="true") == public
        assert await titles(stan, q="even", user_id=olga.id) == public
        assert await titles(stan, q="even", user_id=stan.id) == ["Evenings of mine"]
        assert await titles(olga, user_id=olga.id, is_public="false") == ["Secret evening"]
        assert await titles(stan, q="nothing") == await titles(stan, q="...") == []
        assert (await titles(stan))[0] == "Evenings of mine"
        pages = [
            (await stan.get("/playlists/search", params={"q": "even", "limit": 1, "page": n})).json()["data"]
            for n in (1, 2, 3, 4)
        ]
        assert [one["title"] for page in pages for one in page["playlists"]] == ["Evenings of mine", *public]
        assert {page["total"] for page in pages} == {3}
        everything = (await world.guest.get("/search", params={"q": "even"})).json()["data"]
        assert [one["title"] for one in everything["playlists"]] == public
        assert everything["totals"] == {"tracks": 0, "users": 0, "playlists": 2}
        assert (await world.guest.get("/playlists/search?q=even")).status_code == 401
        for query in ({"is_public": "maybe"}, {"user_id": "1"}, {"page": 0}, {"limit": 101}):
            assert (await stan.get("/playlists/search", params=query)).status_code == 400, query
        assert (await stan.put(f"/playlists/{other}", json={"is_public": True})).status_code == 200
        assert (await olga.put(f"/playlists/{evening}", json={"title": "Morning"})).status_code == 200
        assert set(await titles(wil, q="evening", is_public="true")) == {"Evening walk", "Evenings of mine"}
        await check_index(world)
        assert (await stan.post(f"/users/{olga.id}/block")).status_code == 200
        assert await titles(stan, q="evening") == ["Evenings of mine"], "nothing of whom they have blocked"
        everything = (await stan.get("/search", params={"q": "evening"})).json()["data"]
        assert (len(everything["playlists"]), everything["total"]) == (1, 1)
        assert (await stan.delete(f"/users/{olga.id}/block")).status_code == 200
        assert len(await titles(stan, q="evening")) == 2
        assert (await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})).status_code == 200
        assert await titles(stan, q="evening") == ["Evenings of mine"]
        await check_index(world)

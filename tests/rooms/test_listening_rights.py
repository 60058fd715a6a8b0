"""Who may like, play, count and talk about a track, in every state that it can be in."""

from pathlib import Path

from tests.rooms.listening_house import song
from tests.rooms.tracks_house import plant
from tests.world import open_world
from veza.core.db import Database

PEOPLE = ("guest", "stan", "olga", "mona", "adam")
PLAY, COMMENT = {"json": {"duration": 1}}, {"json": {"content": "Fine"}}
# What guest, stranger, owner, moderator and admin get.
ROWS = {
    "public": {
        "POST /like": (401, 200, 200, 200, 200),
        "DELETE /like": (401, 200, 200, 200, 200),
        "GET /likes": (200, 200, 200, 200, 200),
        "POST /play": (401, 200, 200, 200, 200),
        "GET /stats": (200, 200, 200, 200, 200),
        "GET /comments": (200, 200, 200, 200, 200),
        "POST /comments": (401, 201, 201, 201, 201),
    },
    "private": {
        "POST /like": (401, 404, 200, 200, 200),
        "DELETE /like": (401, 404, 200, 200, 200),
        "GET /likes": (404, 404, 200, 200, 200),
        "POST /play": (401, 404, 200, 200, 200),
        "GET /stats": (404, 404, 200, 200, 200),
        "GET /comments": (404, 404, 200, 200, 200),
        "POST /comments": (401, 404, 201, 201, 201),
    },
    "processing": {
        "POST /like": (401, 404, 409, 409, 409),
        "DELETE /like": (401, 404, 200, 200, 200),
        "GET /likes": (404, 404, 200, 200, 200),
        "POST /play": (401, 404, 409, 409, 409),
        "GET /stats": (404, 404, 200, 200, 200),
        "GET /comments": (404, 404, 200, 200, 200),
        "POST /comments": (401, 404, 409, 409, 409),
    },
    "failed": {
        "POST /like": (401, 404, 409, 409, 409),
        "POST /play": (401, 404, 409, 409, 409),
        "GET /stats": (404, 404, 200, 200, 200),
        "POST /comments": (401, 404, 409, 409, 409),
    },
    "deleted": {
        "POST /like": (401, 404, 404, 404, 404),
        "DELETE /like": (401, 404, 404, 404, 404),
        "GET /likes": (404, 404, 404, 404, 404),
        "POST /play": (401, 404, 404, 404, 404),
        "GET /stats": (404, 404, 404, 404, 404),
        "GET /comments": (404, 404, 404, 404, 404),
        "POST /comments": (401, 404, 404, 404, 404),
    },
}
# At /comments/{id}, for a comment of Cleo's on Olga's track.
COMMENTERS = ("guest", "stan", "cleo", "olga", "mona")
COMMENT_ROWS = {"PUT": (401, 403, 200, 403, 403), "DELETE": (401, 403, 200, 200, 200)}


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """T1, T3, T13, Q5: 404 where a stranger sees nothing, 409 where nothing is to be heard yet."""
    async with open_world(database, tmp_path) as world:
        roles = {"mona": "moderator", "adam": "admin"}
        cast = {name: await world.person(name, roles.get(name, "user")) for name in PEOPLE[1:]}
        cast["guest"] = world.guest
        wrong = []
        for state, endpoints in ROWS.items():
            if state in {"processing", "failed"}:
                track = await plant(world, cast["olga"], state)
            else:
                track = await song(world, cast["olga"], public=state != "private")
            if state == "deleted":
                assert (await cast["olga"].delete(f"/tracks/{track}")).status_code == 200
            for endpoint, wanted in endpoints.items():
                method, _, path = endpoint.partition(" ")
                body = {"/play": PLAY, "/comments": COMMENT}.get(path, {}) if method == "POST" else {}
                for name, status in zip(PEOPLE, wanted, strict=True):
                    answer = await cast[name].client.request(method, f"/tracks/{track}{path}", **body)
                    if answer.status_code != status:
                        wrong.append((state, endpoint, name, status, answer.status_code, answer.text[:80]))
        assert wrong == []


async def test_who_may_change_a_comment(database: Database, tmp_path: Path) -> None:
    """Q6: its author, the owner of the track, a moderator; others 403; twice 404; words are the author's."""
    async with open_world(database, tmp_path) as world:
        cast = {name: await world.person(name) for name in COMMENTERS[1:-1]}
        cast |= {"guest": world.guest, "mona": await world.person("mona", "moderator")}
        track = await song(world, cast["olga"])

        async def post(words: str) -> str:
            answer = await cast["cleo"].post(f"/tracks/{track}/comments", json={"content": words})
            return str(answer.json()["data"]["comment"]["id"])

        comment, turn = await post("Fine"), 0
        for method, wanted in COMMENT_ROWS.items():
            for name, status in zip(COMMENTERS, wanted, strict=True):
                body = {"json": {"content": "Better"}} if method == "PUT" else {}
                answer = await cast[name].client.request(method, f"/comments/{comment}", **body)
                assert answer.status_code == status, (method, name, answer.text)
                if method == "DELETE" and status == 200:
                    again = await cast[name].delete(f"/comments/{comment}")
                    assert (again.status_code, again.json()["error"]["code"]) == (404, "COMMENT_NOT_FOUND")
                    comment, turn = await post(f"Fine {turn}"), turn + 1
        # With the track, what is said about it is out of sight for whoever may not see it, its author too.
        await cast["olga"].put(f"/tracks/{track}", json={"is_public": False})
        for name in ("stan", "cleo"):
            assert (await cast[name].delete(f"/comments/{comment}")).status_code == 404
        assert (await cast["stan"].delete("/comments/nonsense")).status_code == 400

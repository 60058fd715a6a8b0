"""Who may do what with a track, in every state that it can be in: a row for every route there is.

The router names the routes: one that has no row fails, and so does a row that no route has.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar.routes import HTTPRoute

from tests.core.asking import ask
from tests.core.test_guards import contents
from tests.rooms.market_house import bought, offer_track
from tests.rooms.test_auth_login import counted
from tests.rooms.tracks_house import NOBODY, check_counts, plant
from tests.world import Person, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.rooms.comments import store as comments
from veza.rooms.comments.schemas import Comment
from veza.rooms.tracks import counts, store
from veza.rooms.tracks.jobs import peaks_key

# A guest, somebody who has nothing to do with the track, one who has commented on it, its owner, and two
# who moderate; and, without a letter below, somebody whom the owner has blocked.
PEOPLE = ("guest", "stan", "cleo", "olga", "mona", "adam", "bea")
ROLES = {"mona": "moderator", "adam": "admin"}
# "kept back": everybody hears it, and nobody downloads it. "sold": on sale, and bought by Cleo. "imported":
# ready, and without renditions yet.
STATES = ("public", "kept back", "private", "processing", "failed", "deleted", "sold", "imported")
# What a letter stands for.
OUTCOMES = {
    "o": (200, ""), "+": (201, ""), "u": (401, "UNAUTHENTICATED"), "f": (403, "FORBIDDEN"),
    "d": (403, "DOWNLOAD_NOT_ALLOWED"), "b": (403, "PURCHASE_REQUIRED"),
    "n": (404, "TRACK_NOT_FOUND"), "m": (404, "COMMENT_NOT_FOUND"),
    "p": (404, "COVER_NOT_FOUND"), "l": (404, "UPLOAD_NOT_FOUND"), "c": (409, "TRACK_NOT_READY"),
    "r": (404, "ROOM_NOT_FOUND"),
    "v": (422, "VALIDATION_ERROR"),
}  # fmt: skip
# For each state what the six get, a letter for each; the last one only where it differs from the first, or
# could. After a = stands what takes the place of a parameter.
ON_TRACKS = {
    #                                 public kept   priv.  proc.  failed deleted sold imp.
    "GET ":                          "oooooo oooooo nnnooo nnnooo nnnooo nnnnnn oooooo",
    "PUT ":                          "uffooo uffooo unnooo unnooo unnooo unnnnn uffooo",
    "DELETE ":                       "uffooo uffooo unnooo unnooo unnooo unnnnn uffooo",
    "GET /status":                   "uooooo uooooo unnooo unnooo unnooo unnnnn uooooo uooooo",
    "GET /download":                 "oooooo dddooo nnnooo nnnooo nnnccc nnnnnn bboobb",
    "GET /stream":                   "oooooo oooooo nnnooo nnnccc nnnccc nnnnnn uooooo oooooo",
    "GET /stream?quality=lossless":  "oooooo dddooo nnnooo nnnccc nnnccc nnnnnn uboobb oooooo",
    "GET /stream?quality=original":  "oooooo dddooo nnnooo nnnooo nnnccc nnnnnn bboobb oooooo",
    "GET /urls":                     "uooooo uooooo unnooo unnooo unnooo unnnnn uooooo",
    "GET /hls/master.m3u8":          "oooooo oooooo nnnooo nnnccc nnnccc nnnnnn uooooo cccccc",
    "GET /hls/{rendition=aac_96}/index.m3u8":
                                     "oooooo oooooo nnnooo nnnccc nnnccc nnnnnn uooooo cccccc",
    "GET /hls/{rendition=aac_96}/{piece=2.m4s}":
                                     "oooooo oooooo nnnooo nnnccc nnnccc nnnnnn uooooo cccccc",
    "GET /hls/{rendition=flac}/index.m3u8":
                                     "oooooo dddooo nnnooo nnnccc nnnccc nnnnnn uboobb cccccc",
    "GET /hls/{rendition=flac}/{piece=init.mp4}":
                                     "oooooo dddooo nnnooo nnnccc nnnccc nnnnnn uboobb cccccc",
    "GET /waveform":                 "oooooo oooooo nnnooo nnnccc nnnccc nnnnnn oooooo cccccc",
    "GET /cover":                    "oooooo oooooo nnnooo nnnppp nnnppp nnnnnn oooooo",
    "PUT /cover":                    "uffvvv uffvvv unnvvv unnvvv unnvvv unnnnn uffvvv",
    "GET /stats":                    "oooooo oooooo nnnooo nnnooo nnnooo nnnnnn oooooo",
    "POST /play":                    "uooooo uooooo unnooo unnccc unnccc unnnnn uooooo",
    "GET /likes":                    "oooooo oooooo nnnooo nnnooo nnnooo nnnnnn oooooo",
    "POST /like":                    "uooooo uooooo unnooo unnccc unnccc unnnnn uooooo",
    "DELETE /like":                  "uooooo uooooo unnooo unnooo unnooo unnnnn uooooo",
    "GET /similar":                  "oooooo oooooo nnnooo nnnooo nnnooo nnnnnn oooooo",
    "GET /comments":                 "oooooo oooooo nnnooo nnnooo nnnooo nnnnnn oooooo",
    "POST /comments":                "u+++++ u+++++ unn+++ unnccc unnccc unnnnn u+++++",
    "DELETE /cover":                 "uffooo uffooo unnooo unnooo unnooo unnnnn uffooo",
    "POST /room":                    "uff+ff uff+ff unn+ff unncff unncff unnnnn uff+ff",
    "GET /room":                     "uooooo uooooo unnooo unnrrr unnrrr unnnnn uooooo",
}  # fmt: skip
ON_ANALYTICS = {
    "GET ":                          "uffofo uffofo unnofo unnofo unnofo unnnnn uffofo",
    "GET /export":                   "uffofo uffofo unnofo unnofo unnofo unnnnn uffofo",
}  # fmt: skip
# On Cleo's comment.
ON_COMMENTS = {
    "PUT ":                          "ufofff ufofff ummfff ummfff ummfff ummmmm ufofff",
    "DELETE ":                       "ufoooo ufoooo ummooo ummooo ummooo ummmmm ufoooo",
}  # fmt: skip
# On one of Bea's, from before the block: whose page it is on may clear it away, and Bea sees nothing of it.
ON_BEA_S = {
    "PUT ":                          "ufffff ufffff ummfff ummfff ummfff ummmmm ufffff",
    "DELETE ":                       "uffooo uffooo ummooo ummooo ummooo ummmmm uffooo",
}  # fmt: skip
# What is Olga's own and about no track yet.
ON_OWN = {
    "GET /tracks/quota/{user_id}": "uffofo", "GET /tracks/resume/{transfer}": "ulloll",
    "DELETE /tracks/resume/{transfer}": "ulloll", "GET /uploads/{file}/status": "ulloll",
    "DELETE /uploads/{file}": "ulloll",
}  # fmt: skip
# A download is written down; and there is a room once its owner has opened it.
LATER = {"GET /tracks/{track_id}/download", "GET /tracks/{track_id}/room"}
BODIES: dict[str, dict[str, Any]] = {
    "PUT /tracks/{track_id}": {"json": {"album": "A"}},
    "PUT /tracks/{track_id}/cover": {"files": {"not file": ("a.jpg", b"")}},
    "POST /tracks/{track_id}/play": {"json": {"duration": 0}},
    "POST /tracks/{track_id}/comments": {"json": {"content": "Fine"}},
    "PUT /comments/{comment_id}": {"json": {"content": "Better"}},
    "PUT /comments/{bea_s}": {"json": {"content": "Better"}},
}


def rows() -> Iterator[tuple[str, list[str]]]:
    """Every endpoint, and what they get in each state; for what knows no state, once.

    Whoever is blocked finds nothing of the owner's; where there is nothing to find, they are a stranger.
    """
    tables = (
        ("/tracks/{track_id}", ON_TRACKS, "n"),
        ("/analytics/tracks/{track_id}", ON_ANALYTICS, "n"),
        ("/comments/{comment_id}", ON_COMMENTS, "m"),
        ("/comments/{bea_s}", ON_BEA_S, "m"),
    )
    for base, table, unseen in (*tables, ("", ON_OWN, "")):
        for endpoint, words in table.items():
            told = [word + (unseen or word[1]) for word in words.split()]
            yield endpoint.replace(" ", f" {base}", 1), told


def routes(world: World) -> Iterator[str]:
    """The routes whose path names a track, or a thing that is about one or becomes one.

    Those of playlists have a table of their own, in test_playlists_guard.py.
    """
    for route in world.app.app.routes:
        if isinstance(route, HTTPRoute) and re.search(r"track|comment|upload", route.path_format):
            methods = {method for handler in route.route_handlers for method in handler.http_methods}
            path = route.path_format.removeprefix("/api/v1")
            if "{" in path and not path.startswith("/playlists/"):
                yield from (f"{method} {path}" for method in methods - {"OPTIONS"})


def anonymous(endpoint: str) -> str:
    """An endpoint, whatever its parameters are called."""
    return re.sub(r"{[^}]*}", "{}", endpoint.partition("?")[0])


class Scene:
    """Olga's track in one state, with a comment of Cleo's, and things of Olga's that are no track yet."""

    def __init__(self, world: World, cast: dict[str, Person]) -> None:
        self.world = world
        self.cast = cast
        self.places: dict[str, str] = {}

    async def set(self, state: str) -> None:
        """Make track and comment anew."""
        olga, cleo, bea = self.cast["olga"], self.cast["cleo"], self.cast["bea"]
        status = state if state in {"processing", "failed"} else "ready"
        track = await plant(self.world, olga, status, public=state != "private")
        comment, bea_s = [await self._comment(UUID(track), author) for author in (cleo, bea)]
        if state == "kept back":
            assert (await olga.put(f"/tracks/{track}", json={"downloadable": False})).status_code == 200
        if state == "sold":
            product = await offer_track(self.world, olga, track)
            await bought(cleo, product["id"])
        if state == "imported":
            async with self.world.parts.database.write() as tx:
                await store.set_renditions(tx, UUID(track), [])
            await self.world.parts.storage.delete(peaks_key(UUID(track)))
        if state == "deleted":
            assert (await olga.delete(f"/tracks/{track}")).status_code == 200
        self.places |= {"track_id": track, "comment_id": str(comment), "bea_s": str(bea_s)}

    async def set_own(self) -> None:
        """Make what is about no track."""
        olga = self.cast["olga"]
        start = {"filename": "a.mp3", "total_chunks": 1, "total_size": 9}
        transfer = await olga.post("/tracks/initiate", json=start)
        file = await olga.post("/uploads", files={"file": ("a", b"hello")})
        ids = [answer.json()["data"]["upload_id"] for answer in (transfer, file)]
        self.places |= {"user_id": olga.id, "transfer": ids[0], "file": ids[1]}

    async def _comment(self, track_id: UUID, author: Person) -> UUID:
        """Said while the track was to be heard."""
        comment = Comment(
            id=new_id(), track_id=track_id, user_id=UUID(author.id), username="", parent_id=None,
            content="Good", timestamp=None, created_at=clock.now(), edited_at=None,
        )  # fmt: skip
        async with self.world.parts.database.write() as tx:
            await comments.add(tx, comment)
            await counts.add_comments(tx, track_id, 1)
        return comment.id

    async def ask(self, name: str, endpoint: str, **more: Any) -> httpx.Response:
        """What somebody is answered at an endpoint of this scene."""
        more = BODIES.get(endpoint, {}) | more
        method = endpoint.partition(" ")[0]
        return await self.cast[name].client.request(method, self.path(endpoint), **more)

    def path(self, endpoint: str) -> str:
        """Where an endpoint of this scene is."""
        path = endpoint.partition(" ")[2]
        return re.sub(r"{(\w+)=?([^}]*)}", lambda found: found[2] or self.places[found[1]], path)


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """T1, T3, T4, T13, T20, T21, C14, F4, G31, G33, Q5, Q6: cell by cell.

    To be refused changes nothing, nor does to read, but that it is known of downloads.

    What a stranger may not see is 404 everywhere, to the byte like what is not there; what they may see and
    not change is 403; what cannot be heard yet is 409 to whoever sees it.
    """
    async with open_world(database, tmp_path) as world:
        cast = {name: await world.person(name, ROLES.get(name, "user")) for name in PEOPLE[1:]}
        scene, table = Scene(world, cast | {"guest": world.guest}), list(rows())
        with_rows, there = {anonymous(endpoint) for endpoint, _ in table}, {*map(anonymous, routes(world))}
        assert with_rows == there, "each route has a row, and each row a route"
        await scene.set_own()
        assert (await cast["olga"].post(f"/users/{cast['bea'].id}/block")).status_code == 200
        wrong, unseen = [], defaultdict(set)
        for column, state in enumerate(STATES):
            await scene.set(state)
            cells = [
                (endpoint, name, words[column][turn])
                for endpoint, words in table
                for turn, name in enumerate(PEOPLE)
                if column < len(words)
            ]
            before = await contents(database)
            for endpoint, name, letter in (cell for cell in cells if not changes(*cell)):
                answer = await scene.ask(name, endpoint)
                wrong += differences(answer, state, endpoint, name, letter)
                if letter in "nml":
                    unseen[letter].add(answer.content)
                    if endpoint.startswith("GET"):
                        sly = {"If-None-Match": "*", "Range": "bytes=0-0"}
                        again = await scene.ask(name, endpoint, headers=sly)
                        unseen[letter].add(again.content)
            assert await contents(database) == before, state
            for endpoint, name, letter in (cell for cell in cells if changes(*cell)):
                answer = await scene.ask(name, endpoint)
                wrong += differences(answer, state, endpoint, name, letter)
                if re.match("DELETE /(tracks|comments)/[^/]*$", endpoint):
                    await scene.set(state)
        assert wrong == []
        assert {letter: len(found) for letter, found in unseen.items()} == {"n": 1, "m": 1, "l": 1}
        await check_counts(world)


@pytest.mark.usefixtures("still")
async def test_a_look_leaves_no_trace(database: Database, tmp_path: Path) -> None:
    """G13, G31: HEAD of all that an owner reads has the head of GET, and leaves no trace, even of files."""
    async with open_world(database, tmp_path) as world:
        cast = {name: await world.person(name) for name in ("olga", "cleo", "bea")}
        scene = Scene(world, cast)
        await scene.set_own()
        await scene.set("public")
        turn = PEOPLE.index("olga")
        read = [one for one, words in rows() if one.startswith("GET ") and words[0][turn] == "o"]
        header = ("authorization", cast["olga"].client.headers["authorization"])
        before = await contents(database)
        looks = {one: await ask(world.app, "HEAD", f"/api/v1{scene.path(one)}", header) for one in read}
        assert await contents(database) == before
        for one, look in looks.items():
            whole = await ask(world.app, "GET", f"/api/v1{scene.path(one)}", header)
            assert look.status == whole.status, one
            own = {"x-request-id": "", "etag": "of what may tell the time"}
            assert look.headers | own == whole.headers | own, one


async def test_what_is_not_seen_costs_what_is_not_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G33: to miss a private track takes as many statements as to miss none, whatever is asked about it."""
    async with open_world(database, tmp_path) as world:
        scene = Scene(world, {name: await world.person(name) for name in ("olga", "stan", "cleo", "bea")})
        await scene.set("private")
        private, asked, taken = scene.places["track_id"], list[int](), defaultdict[str, list[int]](list)
        async with database.look() as look, database.read() as view, database.write() as tx:
            kinds = {type(look), type(view), type(tx)}
        for kind in kinds:
            for way in ("first", "all", "run", "run_many"):
                monkeypatch.setattr(kind, way, counted(getattr(kind, way), asked))
        for ending in ON_TRACKS:
            endpoint = ending.replace(" ", " /tracks/{track_id}", 1)
            for track_id in (private, NOBODY):
                scene.places["track_id"] = track_id
                asked.clear()
                answer = await scene.ask("stan", endpoint)
                assert answer.status_code == 404, endpoint
                taken[endpoint].append(len(asked))
        assert {endpoint: two for endpoint, two in taken.items() if two[0] != two[1] or not two[0]} == {}


def changes(endpoint: str, _name: str, letter: str) -> bool:
    """Whether whoever gets this answer may have changed something."""
    return letter in "o+" and (not endpoint.startswith("GET ") or endpoint in LATER)


def differences(answer: httpx.Response, *cell: str) -> Iterator[tuple[str, ...]]:
    """Whether an answer is not what the cell's letter, which comes last, stands for."""
    got = (answer.status_code, answer.json()["error"]["code"] if answer.status_code >= 400 else "")
    if got != OUTCOMES[cell[-1]]:
        yield (*cell, *map(str, got))

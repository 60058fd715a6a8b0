"""Who may do what with a playlist, public or private: a row for every route there is.

The router names the routes: one that has no row fails, and so does a row that no route has.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from litestar.routes import HTTPRoute

from tests.core.test_guards import contents
from tests.filling import filled
from tests.rooms.listening_house import song
from tests.rooms.playlists_house import check_sums, member
from tests.rooms.test_track_guard import anonymous
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.rooms.playlists import filling, people_store, service, sharing
from veza.rooms.playlists.schemas import Addition, PlaylistDraft

# A guest, somebody who has nothing to do with the playlist, three collaborators by what they may, its owner,
# and those whom the platform lets do more; and, without a letter below, somebody whom the owner has blocked.
PEOPLE = ("guest", "stan", "rita", "wil", "abe", "olga", "mona", "adam", "bea")
ROLES = {"mona": "moderator", "adam": "admin"}
# Tom is who may be promoted and removed.
PERMISSIONS = {"rita": "read", "wil": "write", "abe": "admin", "tom": "read"}
STATES = ("public", "private", "deleted")
# What a letter stands for.
OUTCOMES = {
    "o": (200, ""), "+": (201, ""), "u": (401, "UNAUTHENTICATED"), "f": (403, "FORBIDDEN"),
    "n": (404, "PLAYLIST_NOT_FOUND"),
    "l": (404, "SHARE_LINK_NOT_FOUND"), "w": (422, "OWN_PLAYLIST"), "v": (422, "VALIDATION_ERROR"),
}  # fmt: skip
# For each state what the eight get, a letter for each.
TABLE = {
    #                                      public   private  deleted
    "GET ":                               "uooooooo unoooooo unnnnnnn",
    "PUT ":                               "ufffoooo unffoooo unnnnnnn",
    "GET /tracks":                        "uooooooo unoooooo unnnnnnn",
    "POST /tracks":                       "uffooooo unfooooo unnnnnnn",
    "PUT /tracks/reorder":                "uffooooo unfooooo unnnnnnn",
    "PUT /tracks/{track_id}":             "uffooooo unfooooo unnnnnnn",
    "DELETE /tracks/{track_id}":          "uffooooo unfooooo unnnnnnn",
    "GET /collaborators":                 "uooooooo unoooooo unnnnnnn",
    "POST /collaborators":                "ufffooff unffooff unnnnnnn",
    "PUT /collaborators/{user_id}":       "ufffooff unffooff unnnnnnn",
    "DELETE /collaborators/{user_id}":    "ufffooff unffooff unnnnnnn",
    "POST /follow":                       "uoooowoo unooowoo unnnnnnn",
    "DELETE /follow":                     "uooooooo unoooooo unnnnnnn",
    "POST /share":                        "ufffooff unffooff unnnnnnn",
    "GET /share":                         "ufffooff unffooff unnnnnnn",
    "DELETE /share/{link_id}":            "ufffooff unffooff unnnnnnn",
    "GET /cover":                         "oooooooo nnoooooo nnnnnnnn",
    "PUT /cover":                         "ufffvvvv unffvvvv unnnnnnn",
    "DELETE /cover":                      "ufffoooo unffoooo unnnnnnn",
    "POST /room":                         "uffff+ff unfff+ff unnnnnnn",
    "GET /room":                          "uooooooo unoooooo unnnnnnn",
    "PUT /owner":                         "uffffoff unfffoff unnnnnnn",
    "DELETE ":                            "uffffooo unfffooo unnnnnnn",
}  # fmt: skip
# What needs no playlist's id: a link shows a private one, too, for as long as there is one.
BESIDE = {
    "GET /playlists/shared/{token}":        "oooooooo oooooooo llllllll",
    "GET /playlists/shared/{token}/tracks": "oooooooo oooooooo llllllll",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "PUT ": {"description": "Other words"}, "POST /tracks": {"track_id": "{new}"},
    "PUT /tracks/reorder": {"track_ids": ["{other}", "{track_id}"]},
    "PUT /tracks/{track_id}": {"position": 1},
    "POST /collaborators": {"user_id": "{somebody}", "permission": "read"},
    "PUT /collaborators/{user_id}": {"permission": "write"}, "PUT /owner": {"user_id": "{user_id}"},
}  # fmt: skip
# After which the next one would find another playlist.
SPOILING = {
    "POST /tracks", "DELETE /tracks/{track_id}", "POST /collaborators", "DELETE /collaborators/{user_id}",
    "DELETE /share/{link_id}", "PUT /owner", "DELETE ",
}  # fmt: skip


def routes(world: World) -> Iterator[str]:
    """The routes whose path names a playlist, by its id or by a link."""
    for route in world.app.app.routes:
        if isinstance(route, HTTPRoute) and re.match(r"/api/v1/playlists/.*{", route.path_format):
            methods = {method for handler in route.route_handlers for method in handler.http_methods}
            path = route.path_format.removeprefix("/api/v1")
            yield from (f"{method} {path}" for method in methods - {"OPTIONS"})


class Scene:
    """Olga's playlist in one state, with two tracks, three collaborators and a link."""

    def __init__(self, world: World, cast: dict[str, Person]) -> None:
        self.world = world
        self.cast = cast
        self.places: dict[str, str] = {"user_id": cast["tom"].id, "somebody": cast["sue"].id}

    async def set(self, state: str) -> None:
        """Make it anew."""
        olga = member(self.cast["olga"])
        async with self.world.parts.database.write() as tx:
            draft = PlaylistDraft("Evening", is_public=state != "private")
            playlist = await service.create(tx, olga, draft)
            for name, permission in PERMISSIONS.items():
                await people_store.add(tx, playlist.id, UUID(self.cast[name].id), permission)
            for name in ("track_id", "other"):
                await filling.add(tx, olga, playlist.id, Addition(UUID(self.places[name])))
            link = await sharing.share(tx, olga, playlist.id, None, "")
            if state == "deleted":
                await service.delete(tx, playlist)
        self.places |= {"playlist_id": str(playlist.id), "token": link.share_token, "link_id": str(link.id)}

    async def ask(self, name: str, endpoint: str, base: str) -> httpx.Response:
        """What somebody is answered at an endpoint of this scene."""
        method, _, path = endpoint.partition(" ")
        body = BODIES.get(endpoint) if base else None
        if endpoint == "PUT /cover":
            form = {"not file": ("a.jpg", b"")}
            return await self.cast[name].client.request(method, filled(base + path, self.places), files=form)
        more = {} if body is None else {"json": filled(body, self.places)}
        return await self.cast[name].client.request(method, filled(base + path, self.places), **more)


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """P1, P2, P5, P15, G31, G33: cell by cell; to be refused changes nothing, nor does to read.

    What a stranger may not see is 404 everywhere, to the byte like what is not there; what they may see and
    not change is 403.
    """
    async with open_world(database, tmp_path) as world:
        names = (*PEOPLE[1:], "sue", "tom")
        cast = {name: await world.person(name, ROLES.get(name, "user")) for name in names}
        scene = Scene(world, cast | {"guest": world.guest})
        scene.places |= {name: await song(world, cast["olga"]) for name in ("track_id", "other", "new")}
        assert (await cast["olga"].post(f"/users/{cast['bea'].id}/block")).status_code == 200
        base = "/playlists/{playlist_id}"
        with_rows = {anonymous(endpoint.replace(" ", f" {base}", 1)) for endpoint in TABLE}
        with_rows |= {*map(anonymous, BESIDE)}
        assert with_rows == {*map(anonymous, routes(world))}, "each route has a row, and each row a route"
        wrong, unseen = [], set()
        for column, state in enumerate(STATES):
            await scene.set(state)
            cells = [
                (endpoint, place, name, (words.split()[column] + unseen_as)[turn])
                for table, place, unseen_as in ((TABLE, base, "n"), (BESIDE, "", "l"))
                for endpoint, words in table.items()
                for turn, name in enumerate(PEOPLE)
            ]
            before = await contents(database)
            for endpoint, place, name, letter in (cell for cell in cells if not changes(cell)):
                answer = await scene.ask(name, endpoint, place)
                wrong += differences(answer, state, endpoint, name, letter)
                if letter == "n":
                    unseen.add(answer.content)
            assert await contents(database) == before, state
            for endpoint, place, name, letter in filter(changes, cells):
                answer = await scene.ask(name, endpoint, place)
                wrong += differences(answer, state, endpoint, name, letter)
                if endpoint in SPOILING:
                    await scene.set(state)
        assert wrong == []
        assert len(unseen) == 1
        await check_sums(world)


def changes(cell: tuple[str, str, str, str]) -> bool:
    """Whether who is answered so may have changed something, or asks for the room that is opened then."""
    return cell[3] in "o+" and (not cell[0].startswith("GET ") or cell[0] == "GET /room")


def differences(answer: httpx.Response, *cell: str) -> Iterator[tuple[str, ...]]:
    """Whether an answer is not what the cell's letter, which comes last, stands for."""
    got = (answer.status_code, answer.json()["error"]["code"] if answer.status_code >= 400 else "")
    if got != OUTCOMES[cell[-1]]:
        yield (*cell, *map(str, got))

"""Who may do what in a room, private or public: a row for every route and every frame there is.

The router names the routes, the protocol its frames: one that has no row fails, and so does a row of nothing.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar.routes import HTTPRoute

from tests.core.test_guards import contents
from tests.filling import filled
from tests.rooms.test_chat_feeds import FakeWire
from tests.rooms.test_track_guard import anonymous
from tests.world import Person, World, open_world
from veza.access.secrets import digest
from veza.app import make_speaker
from veza.core import clock
from veza.core.db import Database
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.rooms.chat import members_store, messages_store, rooms_store, tickets_store
from veza.rooms.chat.feeds import Socket
from veza.rooms.chat.frames import CLIENT_FRAMES
from veza.rooms.chat.hub import Hub
from veza.rooms.chat.members_store import Ban
from veza.rooms.chat.messages_store import MessageRow
from veza.rooms.chat.rooms_store import RoomRow
from veza.rooms.chat.talking import Talk
from veza.rooms.chat.tickets_store import Invite

# A stranger, a reader, a member, a moderator, the owner, somebody banned, somebody silenced, a member and a
# moderator whom the author of the message has blocked, and an admin of the platform, who is not in the room.
PEOPLE = ("stan", "rita", "mel", "mona", "olga", "bart", "mute", "bea", "milo", "adam")
# Vic said the message, and may be changed and sent away; Dan is banned, too; Sue may be taken in.
SEATS = {"rita": "reader", "mel": "member", "mona": "moderator", "olga": "owner", "mute": "member",
         "bea": "member", "milo": "moderator", "vic": "member"}  # fmt: skip
KINDS = ("private", "public")
# What a letter stands for.
OUTCOMES = {
    "o": (200, ""), "+": (201, ""), "f": (403, "FORBIDDEN"), "x": (403, "NOT_A_MEMBER"), "b": (403, "BANNED"),
    "s": (403, "MUTED"), "n": (404, "ROOM_NOT_FOUND"), "m": (404, "MESSAGE_NOT_FOUND"),
}  # fmt: skip
# For each kind of room what the ten get, a letter for each.
ON_ROOMS = {
    #                                       private    public
    "GET ":                                "noooonooon oooooboooo",
    "PUT ":                                "nffoonffon fffoobffoo",
    "GET /messages":                       "noooonooon oooooboooo",
    "POST /messages":                      "nf+++ns++n xf+++bs++x",
    "GET /search?q=x":                     "noooonooon oooooboooo",
    "GET /pinned":                         "noooonooon oooooboooo",
    "POST /read":                          "noooonooon xoooobooox",
    "GET /members":                        "noooonooon oooooboooo",
    "POST /members":                       "nff++nff+n fff++bff++",
    "PUT /members/{user_id}":              "nffoonffon fffoobffoo",
    "DELETE /members/{user_id}":           "nffoonffon fffoobffoo",
    "POST /join":                          "noooonooon oooooboooo",
    "GET /bans":                           "nffoonffon fffoobffoo",
    "POST /bans":                          "nff++nff+n fff++bff++",
    "DELETE /bans/{banned}":               "nffoonffon fffoobffoo",
    "POST /invites":                       "nff++nff+n fff++bff++",
    "GET /invites":                        "nffoonffon fffoobffoo",
    "DELETE /invites/{invite_id}":         "nffoonffon fffoobffoo",
    "GET /reports":                        "nffoonffon fffoobffoo",
    "DELETE ":                             "nfffonfffn ffffobfffo",
}  # fmt: skip
ON_MESSAGES = {
    "PUT ":                                "mffffmfmfm fffffbfmff",
    "POST /pin":                           "mffoomfmom fffoobfmoo",
    "DELETE /pin":                         "mffoomfmom fffoobfmoo",
    "POST /reactions":                     "mfooomsmmm xfooobsmmx",
    "DELETE /reactions/{emoji}":           "mfooomsmmm xfooobsmmx",
    "DELETE ":                             "mffoomfmom fffoobfmoo",
}  # fmt: skip
# What is of no room, or of all of one's own; an invitation lets in whoever is not banned.
BESIDE = {
    "GET /chat/token":                     "oooooooooo",
    "GET /chat/stats":                     "oooooooooo",
    "GET /chat/rooms":                     "oooooooooo",
    "POST /chat/rooms":                    "++++++++++",
    "POST /chat/invites/accept":           "oooooboooo",
}  # fmt: skip
FRAMES = {
    #                                       private    public
    "join":                                "noooonooon oooooboooo",
    "leave":                               "oooooooooo oooooooooo",
    "message":                             "nfooonsoon xfooobsoox",
    "edit":                                "mffffmfmfm fffffbfmff",
    "delete":                              "mffoomfmom fffoobfmoo",
    "typing":                              "nfooonsoon xfooobsoox",
    "read":                                "noooonooon xoooobooox",
    "reaction":                            "mfooomsmmm xfooobsmmx",
    "ping":                                "oooooooooo oooooooooo",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "PUT /chat/rooms/{room_id}": {"topic": "Else"},
    "POST /chat/rooms/{room_id}/messages": {"content": "Hello"},
    "POST /chat/rooms/{room_id}/read": {"message_id": "{message_id}"},
    "POST /chat/rooms/{room_id}/members": {"user_id": "{somebody}"},
    "PUT /chat/rooms/{room_id}/members/{user_id}": {"mute_seconds": 60},
    "POST /chat/rooms/{room_id}/bans": {"user_id": "{user_id}"},
    "POST /chat/rooms/{room_id}/invites": {},
    "PUT /chat/messages/{message_id}": {"content": "Else"},
    "POST /chat/messages/{message_id}/reactions": {"emoji": "x"},
    "POST /chat/rooms": {"name": "Mine", "type": "private"},
    "POST /chat/invites/accept": {"token": "{token}"},
}
# What each frame has beside its type.
FIELDS = {
    "join": {"room_id": "{room_id}", "since": 0}, "leave": {"room_id": "{room_id}"},
    "message": {"room_id": "{room_id}", "content": "Hello", "client_id": "1"},
    "edit": {"message_id": "{message_id}", "content": "Else"}, "delete": {"message_id": "{message_id}"},
    "typing": {"room_id": "{room_id}"}, "read": {"room_id": "{room_id}", "message_id": "{message_id}"},
    "reaction": {"message_id": "{message_id}", "emoji": "x"}, "ping": {},
}  # fmt: skip
# After which the next one would find another room.
SPOILING = {
    "POST /chat/rooms/{room_id}/members", "DELETE /chat/rooms/{room_id}/members/{user_id}",
    "POST /chat/rooms/{room_id}/join", "POST /chat/rooms/{room_id}/bans",
    "DELETE /chat/rooms/{room_id}/bans/{banned}", "DELETE /chat/rooms/{room_id}/invites/{invite_id}",
    "DELETE /chat/rooms/{room_id}", "DELETE /chat/messages/{message_id}", "delete",
    "POST /chat/invites/accept",
}  # fmt: skip


def routes(world: World) -> Iterator[str]:
    """The routes of the chat; those of a track's or playlist's room have rows in the tables of these."""
    for route in world.app.app.routes:
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/api/v1/chat/"):
            methods = {method for handler in route.route_handlers for method in handler.http_methods}
            path = route.path_format.removeprefix("/api/v1")
            yield from (f"{method} {path}" for method in methods - {"OPTIONS"})


def rows() -> Iterator[tuple[str, list[str]]]:
    """Every endpoint, and what they get in each kind of room."""
    for base, table in (("/chat/rooms/{room_id}", ON_ROOMS), ("/chat/messages/{message_id}", ON_MESSAGES)):
        for endpoint, words in table.items():
            yield endpoint.replace(" ", f" {base}", 1), words.split()
    for endpoint, words in BESIDE.items():
        yield endpoint, [words, words]


class Scene:
    """Olga's room of one kind, with a message of Vic's."""

    def __init__(self, world: World, cast: dict[str, Person], talk: Talk) -> None:
        self.world = world
        self.cast = cast
        self.talk = talk
        self.sockets: dict[str, tuple[Socket, FakeWire]] = {}
        self.places = {"user_id": cast["vic"].id, "somebody": cast["sue"].id, "banned": cast["dan"].id}
        self.places |= {"emoji": "x", "token": "open sesame"}

    async def set(self, kind: str) -> None:
        """Make it anew."""
        room_id, now, ids = new_id(), clock.now(), {name: UUID(one.id) for name, one in self.cast.items()}
        room = RoomRow(
            id=room_id, type=kind, name="Room", topic="", pair=None, seq=0, version=0, message_count=0,
            member_count=len(SEATS), slow_seconds=0, created_by=ids["olga"], created_at=now,
            last_message_at=None,
        )  # fmt: skip
        said = MessageRow(
            id=new_id(), room_id=room_id, seq=1, change_seq=1, user_id=ids["vic"], username="",
            client_id=None, content="x", reply_to=None, mentions=[], cards=[], created_at=now, edited_at=None,
            deleted_at=None, pinned_at=None,
        )  # fmt: skip
        invite = Invite(new_id(), room_id, ids["olga"], None, now + timedelta(days=1), now)
        async with self.world.parts.database.write() as tx:
            await rooms_store.add(tx, room)
            for name, role in SEATS.items():
                await members_store.add(tx, room_id, ids[name], role, 0)
            await members_store.change(tx, room_id, ids["mute"], "member", now + timedelta(days=1))
            for name in ("bart", "dan"):
                await members_store.add_ban(tx, Ban(room_id, ids[name], ids["olga"], "", None, now))
            await messages_store.add_all(tx, [(said, "x")])
            await rooms_store.said(tx, room_id, 1, 1)
            secret = f"{room_id}"
            await tickets_store.add_invite(tx, invite, digest(secret))
        self.places |= {"room_id": str(room_id), "message_id": str(said.id), "invite_id": str(invite.id)}
        self.places["token"] = secret

    async def ask(self, name: str, endpoint: str) -> tuple[int, str]:
        """What somebody is answered at an endpoint of this scene."""
        method, _, path = endpoint.partition(" ")
        body = BODIES.get(endpoint)
        more = {} if body is None else {"json": filled(body, self.places)}
        answer = await self.cast[name].client.request(method, filled(path, self.places), **more)
        found = answer.json()
        return answer.status_code, "" if found["success"] else found["error"]["code"]

    async def say(self, name: str, kind: str) -> str:
        """The code of what a frame is answered with, if any."""
        socket, wire = self.sockets[name]
        socket.typed = 0.0
        await self.talk.hear(socket, json.dumps({"type": kind, "id": 1, **filled(FIELDS[kind], self.places)}))
        answer = wire.frames[-1]
        return "" if answer["type"] in {"ack", "pong"} else str(answer["code"])


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """H4, H6, G31: cell by cell, over HTTP and over a socket; to be refused or to read changes nothing."""
    assert set(FRAMES) == set(FIELDS) == {kind.name for kind in CLIENT_FRAMES}, "each frame has a row"
    async with open_world(database, tmp_path) as world:
        with_rows, there = {anonymous(one) for one, _ in rows()}, {*map(anonymous, routes(world))}
        assert with_rows == there, "each route has a row, and each row a route"
        names = (*PEOPLE, "vic", "dan", "sue")
        cast = {name: await world.person(name, "admin" if name == "adam" else "user") for name in names}
        for name in ("bea", "milo"):
            assert (await cast["vic"].post(f"/users/{cast[name].id}/block")).status_code == 200
        parts = world.parts
        hub = Hub(parts.database, parts.live, parts.authenticator)
        scene = Scene(world, cast, Talk(parts.database, parts.live, hub, make_speaker(parts), limited=False))
        with ExitStack() as stack:
            for name in PEOPLE:
                token = cast[name].client.headers["authorization"].split()[1]
                wire = FakeWire()
                who = await parts.authenticator.authenticate(token)
                scene.sockets[name] = Socket(wire, who, Exchange({"headers": []}, ())), wire
                stack.enter_context(hub.here(scene.sockets[name][0]))
            wrong = [cell async for cell in _differences(scene, database)]
    assert wrong == []


async def _differences(scene: Scene, database: Database) -> Any:
    for column, kind in enumerate(KINDS):
        await scene.set(kind)
        cells = [
            (what, name, words[column][turn])
            for what, words in (*rows(), *((one, words.split()) for one, words in FRAMES.items()))
            for turn, name in enumerate(PEOPLE)
        ]
        before = await contents(database)
        for what, name, letter in sorted(cells, key=_changes):
            if _changes((what, name, letter)) and before is not None:
                if await contents(database) != before:
                    yield kind, "changed"
                before = None
            if " " in what:
                got: Any = await scene.ask(name, what)
                expected: Any = OUTCOMES[letter]
            else:
                got, expected = await scene.say(name, what), OUTCOMES[letter][1]
            if got != expected:
                yield kind, what, name, letter, got
            if letter in "o+" and what in SPOILING:
                await scene.set(kind)


def _changes(cell: tuple[str, str, str]) -> bool:
    return cell[2] in "o+" and not cell[0].startswith("GET ")

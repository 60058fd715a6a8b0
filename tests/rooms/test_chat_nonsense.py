"""What a client says that makes no sense: each frame has one answer, and none is that the server failed."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.chat_house import room, say
from tests.rooms.test_chat_feeds import FakeWire
from tests.world import Person, World, open_world
from veza.app import make_speaker
from veza.core.db import Database
from veza.core.exchange import Exchange
from veza.rooms.chat.feeds import Socket
from veza.rooms.chat.frames import CLIENT_FRAMES
from veza.rooms.chat.hub import Hub
from veza.rooms.chat.talking import Talk

LAST = 2**63 - 1
RAW = [
    "", "null", "1", "[]", "{", "{}", "[" * 50_000, '{"type":null}', '{"type":[]}', '\ufeff{"type":"ping"}',
    *(f'{{"type":"ping","id":{value}}}' for value in (
        "NaN", "1e400", "true", "1.5", "[]", "9" * 5_000, "-9223372036854775809", f'"{"x" * 65}"',
        '"\\ud800"', '1,"id":2', '1,"more":2',
    )),
]  # fmt: skip


def frames(there: dict[str, str]) -> list[str]:
    """Frames of every type, some of whose fields are what they should be."""
    dice = random.Random(1)
    values: list[Any] = [
        None, True, 0, -1, LAST, 2**64, 1.5, "", "x", "\x00", "\ud83d", "\u202e", "a" * 70, "\u0301" * 16, [],
        {}, [{"type": "track", "id": there["room_id"]}],
        [{"type": "playlist", "id": there["message_id"]}] * 5,
        "@@a.b" * 700, *there.values(),
    ]  # fmt: skip
    found = []
    for _ in range(60):
        for kind in CLIENT_FRAMES:
            given: dict[str, Any] = {"type": kind.name}
            for name in kind.__struct_fields__:
                good = there.get(name, "x") if dice.random() < 0.7 else dice.choice(values)
                given |= {name: good} if dice.random() < 0.9 else {}
            found.append(json.dumps(given))
    return found


async def seated(world: World, person: Person, *, limited: bool) -> tuple[Hub, Talk, Socket, FakeWire]:
    """Somebody at a socket, and what it says."""
    parts, wire = world.parts, FakeWire()
    hub = Hub(parts.database, parts.live, parts.authenticator)
    talk = Talk(parts.database, parts.live, hub, make_speaker(parts), limited=limited)
    who = await parts.authenticator.authenticate(person.client.headers["authorization"].split()[1])
    return hub, talk, Socket(wire, who, Exchange({"headers": []}, ())), wire


async def test_each_has_one_answer(database: Database, tmp_path: Path) -> None:
    """H3: also to an id that cannot be said back, or a place that no room has."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        room_id = await room(ann, bob)
        there = {"room_id": room_id, "message_id": (await say(bob, room_id, "x"))["id"], "after": ann.id}
        hub, talk, socket, wire = await seated(world, ann, limited=False)
        with hub.here(socket):
            for text in [*RAW, *frames(there)]:
                before, socket.typed = len(wire.frames), 0.0
                await talk.hear(socket, text)
                answers = [one for one in wire.frames[before:] if one["type"] in {"ack", "error", "pong"}]
                assert [one.get("code") for one in answers] != ["INTERNAL_ERROR"], text[:200]
                assert len(answers) == 1, text[:200]
        assert wire.code == 0


@pytest.mark.usefixtures("still")
async def test_to_change_and_to_react_are_counted_as_messages(database: Database, tmp_path: Path) -> None:
    """H3: a whole room hears them as well."""
    async with open_world(database, tmp_path, rate_limit_enabled=True, rate_limit_global="9999/min") as world:
        ann = await world.person("ann")
        said = await say(ann, await room(ann), "x")
        hub, talk, socket, wire = await seated(world, ann, limited=True)
        edit = {"type": "edit", "message_id": said["id"], "content": "y"}
        react = {"type": "reaction", "message_id": said["id"], "emoji": "\N{FIRE}"}
        with hub.here(socket):
            for turn in range(16):
                await talk.hear(socket, json.dumps(edit | {"content": f"y{turn}"}))
                await talk.hear(socket, json.dumps(react | {"remove": bool(turn % 2)}))
        answers = [one.get("code", "ack") for one in wire.frames if one["type"] in {"ack", "error"}]
        assert answers == ["ack"] * 29 + ["RATE_LIMITED"] * 3

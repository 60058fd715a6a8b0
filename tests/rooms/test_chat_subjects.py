"""Rooms of tracks and playlists: opened by their owner, there for whoever sees the thing, and only then."""

from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

from tests.rooms.chat_house import heard, outcome, say
from tests.rooms.listening_house import until
from tests.rooms.playlists_house import make
from tests.rooms.test_chat_feeds import FakeWire
from tests.rooms.tracks_house import plant
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.core.exchange import Exchange
from veza.rooms.chat.feeds import Socket
from veza.rooms.chat.hub import Hub

GONE = (404, "ROOM_NOT_FOUND")


async def listen(hub: Hub, world: World, stack: ExitStack, person: Person, room_id: str) -> FakeWire:
    """Somebody hears a room in this process; what they are told."""
    token = person.client.headers["authorization"].split()[1]
    wire, member = FakeWire(), await world.parts.authenticator.authenticate(token)
    socket = Socket(wire, member, Exchange({"headers": []}, ()))
    stack.enter_context(hub.here(socket))
    place = await hub.join(socket, UUID(room_id), None, None)
    chair = socket.chairs[UUID(room_id)]
    assert await hub.join(socket, UUID(room_id), None, None) == place
    assert socket.chairs[UUID(room_id)] is chair, "what was on its way is passed over"
    return wire


def removed(*wires: FakeWire) -> list[bool]:
    """Who was sent away."""
    return [any(frame["type"] == "removed" for frame in wire.frames) for wire in wires]


async def open_(person: Person, path: str) -> str:
    """Open a room; its id."""
    answer = await person.post(f"{path}/room")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["room"]["id"])


async def test_a_room_goes_where_its_track_goes(database: Database, tmp_path: Path) -> None:
    """H4, H6, T1: whoever may hear the track may come in; private, withheld or blocked, it is not there."""
    async with open_world(database, tmp_path, work=True) as world:
        ada, bob, cleo, dave = [await world.person(name) for name in ("ada", "bob", "cleo", "dave")]
        mona = await world.person("mona", "moderator")
        track = await plant(world, ada, title="Nocturne")
        path = f"/tracks/{track}"
        assert outcome(await bob.get(f"{path}/room")) == GONE
        room_id = await open_(ada, path)
        assert await open_(ada, path) == room_id
        base = f"/chat/rooms/{room_id}"
        seen = (await dave.get(f"{path}/room")).json()["data"]["room"]
        assert (seen["name"], seen["type"], seen["about_id"], seen["role"]) == (
            "Nocturne", "track", track, None,
        )  # fmt: skip
        assert outcome(await bob.post(f"{base}/messages", json={"content": "x"})) == (403, "NOT_A_MEMBER")
        for person in (bob, cleo):
            assert outcome(await person.post(f"{base}/join")) == (200, "")
        said = await say(bob, room_id, "Hello, @ada")
        assert (await dave.get("/chat/rooms?which=public")).json()["data"]["rooms"] == []
        # It stays its owner's, who cannot leave or be sent away.
        for who, method, ask, body in (
            (ada, "delete", f"{base}/members/{ada.id}", None),
            (ada, "put", f"{base}/members/{bob.id}", {"role": "owner"}),
            (mona, "put", f"{base}/members/{ada.id}", {"role": "member"}),
            (mona, "post", f"{base}/bans", {"user_id": ada.id}),
        ):
            answer = await getattr(who, method)(ask, **({"json": body} if body else {}))
            assert outcome(answer) == (409, "OWNERS_ROOM"), ask
        hub = Hub(world.parts.database, world.parts.live, world.parts.authenticator)
        with ExitStack() as stack:
            wires = [await listen(hub, world, stack, one, room_id) for one in (ada, bob, cleo, dave, mona)]
            assert (await ada.post(f"/users/{cleo.id}/block")).status_code == 200

            async def parted() -> bool:
                return removed(*wires) == [False, False, True, False, False]

            await until(parted)
            assert outcome(await cleo.post(f"{base}/messages", json={"content": "x"})) == GONE
            assert (await ada.put(path, json={"is_public": False})).status_code == 200
            for person in (bob, cleo, dave):
                for ask in (base, f"{base}/messages", f"{base}/members", f"{base}/search?q=x"):
                    assert outcome(await person.get(ask)) == GONE
                assert (await person.get("/chat/rooms")).json()["data"]["rooms"] == []
                assert (await person.get("/chat/rooms")).json()["data"]["pagination"]["total"] == 0
                assert outcome(await person.post(f"{base}/join")) == GONE
            assert outcome(await bob.post(f"{base}/messages", json={"content": "x"})) == GONE
            for ask in ("", "/pin", "/reactions"):
                method = bob.post if ask else bob.put
                body = {"emoji": "🎻"} if ask == "/reactions" else {"content": "x"}
                sent = None if ask == "/pin" else body
                answer = await method(f"/chat/messages/{said['id']}{ask}", json=sent)
                assert outcome(answer) == (404, "MESSAGE_NOT_FOUND"), ask

            async def alone() -> bool:
                return removed(*wires) == [False, True, True, True, False]

            await until(alone)
            # Who moderates no longer hears no longer, and may do no more than others.
            boss = await world.person("boss", "admin")
            for role in ("user", "moderator"):
                done = await boss.put(f"/admin/users/{mona.id}/role", json={"role": role})
                assert done.status_code == 200

                async def demoted() -> bool:
                    return removed(*wires) == [False, True, True, True, True]

                await until(demoted)
        await say(ada, room_id, "alone")
        assert len(await heard(mona, room_id)) == 2
        assert (await ada.put(path, json={"is_public": True})).status_code == 200
        assert [one["content"] for one in await heard(bob, room_id)] == ["Hello, @ada", "alone"]
        body = {"target_type": "track", "target_id": track, "reason": "spam"}
        told = (await bob.post("/reports", json=body)).json()["data"]["report"]["id"]
        assert (await mona.post(f"/admin/reports/{told}/resolve", json={"action": "remove"})).is_success
        assert outcome(await bob.get(base)) == GONE
        assert (await mona.post(f"/admin/reports/{told}/revoke")).is_success
        assert outcome(await bob.get(base)) == (200, "")
        assert (await ada.delete(path)).status_code == 200
        assert outcome(await ada.get(base)) == GONE

        async def forgotten() -> bool:
            left = [await database.rows(f"SELECT 1 FROM chat_{name}") for name in ("rooms", "messages")]
            return left == [[], []]

        await until(forgotten)


async def test_a_playlists_room_is_whose_the_playlist_is(database: Database, tmp_path: Path) -> None:
    """P1, P5: who works on a private playlist is in its room, and its new owner owns the room."""
    async with open_world(database, tmp_path, work=True) as world:
        ada, bob, cleo = [await world.person(name) for name in ("ada", "bob", "cleo")]
        path = f"/playlists/{await make(world, ada, public=False)}"
        room_id = await open_(ada, path)
        base = f"/chat/rooms/{room_id}"
        assert outcome(await bob.get(base)) == GONE
        invite = (await ada.post(f"{base}/invites", json={})).json()["data"]["invite"]
        answer = await bob.post("/chat/invites/accept", json={"token": invite["token"]})
        assert outcome(answer) == (404, "INVITE_NOT_FOUND")
        for person in (bob, cleo):
            with_us = {"user_id": person.id, "permission": "read"}
            assert (await ada.post(f"{path}/collaborators", json=with_us)).is_success
            assert outcome(await person.post(f"{base}/join")) == (200, "")
        assert outcome(await ada.post(f"{base}/bans", json={"user_id": bob.id})) == (201, "")
        assert (await ada.delete(f"{path}/collaborators/{cleo.id}")).is_success
        assert outcome(await cleo.get(base)) == GONE
        assert (await ada.put(f"{path}/owner", json={"user_id": bob.id})).is_success

        async def handed_over() -> bool:
            there = await ada.get(f"{base}/members")
            roles = {one["username"]: one["role"] for one in there.json()["data"]["members"]}
            return roles == {"ada": "moderator", "bob": "owner", "cleo": "member"}

        await until(handed_over)
        assert (await bob.get(base)).json()["data"]["room"]["member_count"] == 3
        # Whose owner is suspended is there for nobody, and told so to who hears it.
        dave, boss = await world.person("dave"), await world.person("boss", "admin")
        theirs = await open_(dave, f"/playlists/{await make(world, dave)}")
        hub = Hub(world.parts.database, world.parts.live, world.parts.authenticator)
        with ExitStack() as stack:
            wire = await listen(hub, world, stack, ada, theirs)
            assert (await boss.post(f"/admin/users/{dave.id}/suspend", json={"reason": "x"})).is_success

            async def closed() -> bool:
                return removed(wire) == [True]

            await until(closed)
        assert outcome(await bob.delete(base)) == (200, "")
        assert outcome(await ada.get(f"{path}/room")) == GONE

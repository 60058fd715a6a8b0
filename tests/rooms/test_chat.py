"""Rooms and what is said in them, over HTTP."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rooms.chat_house import direct, heard, outcome, room, say
from tests.rooms.listening_house import song, until
from tests.rooms.test_chat_subjects import listen
from tests.rooms.test_notifications import told
from tests.world import PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.rooms.chat.hub import Hub


async def test_what_is_said_has_one_order_and_is_said_once(database: Database, tmp_path: Path) -> None:
    """H8, H9, H10: whoever speaks at once gets places without gaps; the same again is the same message."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo")]
        ann, bob, _ = people
        room_id = await room(*people)

        async def speak(n: int) -> None:
            await say(people[n % 3], room_id, f"<b>{n // 2}</b>", client_id=f"c{n // 6}")

        await asyncio.gather(*(speak(n) for n in range(60)))
        found = await heard(bob, room_id, "?limit=100")
        assert [one["seq"] for one in found] == list(range(1, 31))
        assert len({(one["user_id"], one["client_id"]) for one in found}) == 30
        assert found[0]["content"].startswith("<b>")
        assert await heard(ann, room_id, "?limit=100") == found
        # Somebody's own id for a message is that of one room.
        elsewhere = await room(ann, name="Elsewhere")
        assert (await say(ann, elsewhere, "other words", client_id="c0"))["content"] == "other words"
        middle = found[9]["id"]
        assert await heard(ann, room_id, f"?before={middle}&limit=4") == found[5:9]
        assert await heard(ann, room_id, f"?after={middle}&limit=4") == found[10:14]
        both = await ann.get(f"/chat/rooms/{room_id}/messages?after={middle}&before={middle}")
        assert outcome(both) == (400, "INVALID_REQUEST")
        for bad in ({"content": ""}, {"content": "x" * 4_001}, {"content": "x", "seq": 1}, {"content": "\0"}):
            answer = await ann.post(f"/chat/rooms/{room_id}/messages", json=bad)
            assert outcome(answer) == (422, "VALIDATION_ERROR"), bad
        stats = (await bob.get("/chat/stats")).json()["data"]
        assert (stats["total_rooms"], stats["total_messages"]) == (2, 31)
        kept = await database.rows("SELECT seq, message_count, member_count FROM chat_rooms ORDER BY seq")
        assert [tuple(row) for row in kept] == [(1, 1, 1), (30, 30, 3)]


async def test_who_may_come_in(database: Database, tmp_path: Path) -> None:
    """H6: to a stranger a private room is not there, a public one is open; two have one direct room."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        private, public = await room(ann, bob), await room(ann, kind="public")
        for path in ("", "/messages", "/members", "/pinned", "/search?q=x"):
            assert outcome(await cleo.get(f"/chat/rooms/{private}{path}")) == (404, "ROOM_NOT_FOUND")
            assert outcome(await cleo.get(f"/chat/rooms/{public}{path}"))[0] == 200
        for path in ("join", "messages"):
            body = {"content": "x"} if path == "messages" else None
            answer = await cleo.post(f"/chat/rooms/{private}/{path}", json=body)
            assert outcome(answer) == (404, "ROOM_NOT_FOUND")
        refused = await cleo.post(f"/chat/rooms/{public}/messages", json={"content": "x"})
        assert outcome(refused) == (403, "NOT_A_MEMBER")
        assert (await cleo.post(f"/chat/rooms/{public}/join")).status_code == 200
        assert (await cleo.post(f"/chat/rooms/{public}/join")).status_code == 200
        await say(cleo, public, "hello")
        found = await asyncio.gather(*(direct(one, two) for one, two in [(ann, cleo), (cleo, ann)] * 4))
        assert len({one["id"] for one in found}) == 1
        assert {one["partner"]["username"] for one in found} == {"ann", "cleo"}
        between = found[0]["id"]
        assert outcome(await bob.get(f"/chat/rooms/{between}")) == (404, "ROOM_NOT_FOUND")
        leave = await cleo.delete(f"/chat/rooms/{between}/members/{cleo.id}")
        assert outcome(leave) == (409, "DIRECT_ROOM")
        mine = (await cleo.get("/chat/rooms")).json()["data"]
        assert [one["id"] for one in mine["rooms"]] == [between, public]
        listed = (await bob.get("/chat/rooms?which=public")).json()["data"]["rooms"]
        assert [(one["id"], one["role"], one["member_count"]) for one in listed] == [(public, None, 2)]
        await say(ann, public, "welcome")
        # A block: no direct room, no word in the one there is, and nothing of them is shown elsewhere.
        assert (await cleo.post(f"/users/{ann.id}/block")).status_code in {200, 201}
        assert outcome(await direct(ann, cleo)) == (404, "USER_NOT_FOUND")
        answer = await ann.post(f"/chat/rooms/{between}/messages", json={"content": "x"})
        assert outcome(answer) == (404, "USER_NOT_FOUND")
        assert [one["content"] for one in await heard(cleo, public)] == ["hello"]
        assert [one["content"] for one in await heard(bob, public)] == ["hello", "welcome"]
        await _keeps_order(world, ann, cleo, public)


async def _keeps_order(world: World, owner: Person, other: Person, room_id: str) -> None:
    """In a room of their own an owner sees, finds and removes what is said by who sees nothing of them."""
    base = f"/chat/rooms/{room_id}"
    hello, _ = await heard(owner, room_id)
    assert hello["user_id"] == other.id
    at = f"/chat/messages/{hello['id']}"
    assert outcome(await owner.put(at, json={"content": "Mine"})) == (403, "FORBIDDEN")
    assert outcome(await owner.post(f"{at}/reactions", json={"emoji": "x"})) == (404, "MESSAGE_NOT_FOUND")
    answer = await owner.post(f"{base}/messages", json={"content": "x", "reply_to": hello["id"]})
    assert outcome(answer) == (422, "VALIDATION_ERROR")
    assert outcome(await owner.post(f"{at}/pin")) == (200, "")
    for path in ("/search?q=hello", "/pinned"):
        found = (await owner.get(f"{base}{path}")).json()["data"]["messages"]
        assert [one["id"] for one in found] == [hello["id"]]
        assert (await other.get(f"{base}{path}")).json()["data"]["messages"][0]["id"] == hello["id"]
    for person, seen in ((owner, {owner.id, other.id}), (other, {other.id})):
        data = (await person.get(f"{base}/members")).json()["data"]
        assert {one["user_id"] for one in data["members"]} == seen
        assert data["pagination"]["total"] == len(seen)
    report = {"target_type": "message", "target_id": hello["id"], "reason": "abuse"}
    assert (await owner.post("/reports", json=report)).status_code == 201
    assert outcome(await owner.delete(at)) == (200, "")
    assert (await heard(owner, room_id))[0]["content"] == ""
    hub = Hub(world.parts.database, world.parts.live, world.parts.authenticator)
    with ExitStack() as stack:
        wire = await listen(hub, world, stack, owner, room_id)
        await say(other, room_id, "again")

        async def told_live() -> bool:
            return "again" in [one["message"]["content"] for one in wire.frames if one["type"] == "message"]

        await until(told_live)
    assert (await owner.get(f"{base}/reports")).json()["data"]["reports"] == []
    assert outcome(await owner.delete(f"{base}/members/{other.id}")) == (200, "")


async def test_a_room_is_kept_in_order(database: Database, tmp_path: Path) -> None:
    """H4, H6: silence, slow mode, roles, kicks and bans hold at once; nobody touches their betters."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo", "dora")]
        ann, bob, cleo, dora = people
        boss = await world.person("boss", "admin")
        room_id = await room(ann, bob, cleo, kind="public")
        base = f"/chat/rooms/{room_id}"

        async def change(who, whom, **what):
            return outcome(await who.put(f"{base}/members/{whom.id}", json=what))

        async def speak(who, words="well"):
            return outcome(await who.post(f"{base}/messages", json={"content": words}))

        assert await change(bob, cleo, mute_seconds=60) == (403, "FORBIDDEN")
        assert await change(ann, bob, role="moderator") == (200, "")
        assert await change(bob, cleo, role="moderator") == (403, "FORBIDDEN")
        assert await change(bob, ann, mute_seconds=60) == (403, "FORBIDDEN")
        assert await change(bob, cleo, mute_seconds=60) == (200, "")
        assert await speak(cleo) == (403, "MUTED")
        # Leaving and coming back ends no silence.
        assert outcome(await cleo.delete(f"{base}/members/{cleo.id}")) == (200, "")
        assert outcome(await cleo.post(f"{base}/join")) == (403, "BANNED")
        with clock.shifted(timedelta(seconds=61)):
            assert outcome(await cleo.post(f"{base}/join")) == (200, "")
            assert await speak(cleo) == (201, "")
        assert await change(bob, cleo, role="reader", mute_seconds=0) == (200, "")
        assert await speak(cleo) == (403, "FORBIDDEN")
        assert await change(bob, cleo, role="member") == (200, "")
        assert outcome(await bob.put(base, json={"slow_seconds": 30, "topic": "Slowly"})) == (200, "")
        with clock.shifted(timedelta(seconds=92)):
            assert await speak(cleo) == (201, "")
            refused = await cleo.post(f"{base}/messages", json={"content": "more"})
            assert outcome(refused) == (429, "SLOW_MODE")
            assert 1 <= int(refused.headers["retry-after"]) <= 30
            assert await speak(bob) == await speak(bob) == (201, "")
        said = (await heard(ann, room_id))[0]
        assert outcome(await cleo.post(f"/chat/messages/{said['id']}/pin")) == (403, "FORBIDDEN")
        assert outcome(await bob.post(f"/chat/messages/{said['id']}/pin")) == (200, "")
        assert [one["id"] for one in (await cleo.get(f"{base}/pinned")).json()["data"]["messages"]] == [
            said["id"]
        ]
        assert outcome(await bob.delete(f"/chat/messages/{said['id']}")) == (200, "")
        assert (await heard(ann, room_id))[0]["content"] == ""
        ban = {"user_id": cleo.id, "reason": "noise", "seconds": 3600}
        assert outcome(await bob.post(f"{base}/bans", json={**ban, "user_id": ann.id})) == (403, "FORBIDDEN")
        assert outcome(await bob.post(f"{base}/bans", json=ban)) == (201, "")
        assert outcome(await cleo.get(base)) == (403, "BANNED")
        assert outcome(await cleo.post(f"{base}/join")) == (403, "BANNED")
        assert len((await bob.get(f"{base}/bans")).json()["data"]["bans"]) == 1
        with clock.shifted(timedelta(hours=2)):
            assert outcome(await cleo.post(f"{base}/join")) == (200, "")
        assert outcome(await bob.delete(f"{base}/members/{cleo.id}")) == (200, "")
        # Who keeps order everywhere does so here; a stranger does not.
        assert outcome(await dora.delete(base)) == (403, "FORBIDDEN")
        assert outcome(await boss.put(f"{base}/members/{ann.id}", json={"mute_seconds": 5})) == (200, "")
        # The owner leaves: who was next owns it.
        assert outcome(await ann.delete(f"{base}/members/{ann.id}")) == (200, "")
        assert (await bob.get(base)).json()["data"]["room"]["role"] == "owner"
        assert outcome(await bob.delete(f"{base}/members/{bob.id}")) == (200, "")
        assert outcome(await dora.get(base)) == (404, "ROOM_NOT_FOUND")


async def test_what_is_done_with_messages(database: Database, tmp_path: Path) -> None:
    """Edits, reactions, replies, mentions, cards, search and reading; and what follows from them."""
    async with open_world(database, tmp_path, work=True) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        room_id = await room(ann, bob, cleo)
        hidden, open_ = await song(world, bob, public=False), await song(world, bob)
        first = await say(ann, room_id, "Grüße, @bob! and @nobody, @dora.", client_id="1")
        assert first["mentions"] == [bob.id]
        answer = await bob.post(
            f"/chat/rooms/{room_id}/messages",
            json={"content": "Hear", "reply_to": first["id"], "cards": [{"type": "track", "id": open_}]},
        )
        assert answer.status_code == 201
        for bad in ({"cards": [{"type": "track", "id": hidden}]}, {"reply_to": hidden}):
            refused = await ann.post(f"/chat/rooms/{room_id}/messages", json={"content": "x", **bad})
            assert outcome(refused) == (422, "VALIDATION_ERROR")
        path = f"/chat/messages/{first['id']}"
        assert outcome(await bob.put(path, json={"content": "no"})) == (403, "FORBIDDEN")
        edited = (await ann.put(path, json={"content": "Grüße an alle"})).json()["data"]["message"]
        assert (edited["content"], edited["seq"], edited["change_seq"]) == ("Grüße an alle", 1, 3)
        for person in (bob, cleo, bob):
            assert outcome(await person.post(f"{path}/reactions", json={"emoji": "🎻"})) == (200, "")
        assert outcome(await cleo.delete(f"{path}/reactions/%F0%9F%8E%BB")) == (200, "")
        [seen, _] = await heard(bob, room_id)
        assert seen["reactions"] == [{"emoji": "🎻", "count": 1, "mine": True}]
        found = (await cleo.get(f"/chat/rooms/{room_id}/search?q=GRUSSE")).json()["data"]["messages"]
        assert [one["id"] for one in found] in ([], [first["id"]])
        found = (await cleo.get(f"/chat/rooms/{room_id}/search?q=an%20ALLE")).json()["data"]["messages"]
        assert [one["id"] for one in found] == [first["id"]]
        assert (await cleo.get(f"/chat/rooms/{room_id}/search?q=%25")).json()["data"]["messages"] == []

        async def both() -> bool:
            return bool(await told(bob)) and bool(await told(ann))

        await until(both)
        assert [one["type"] for one in await told(ann)] == ["message_received"]
        assert await told(cleo) == []
        # What was read is not told of.
        between = (await direct(cleo, ann))["id"]
        last = await say(cleo, between, "psst")
        await ann.post(f"/chat/rooms/{between}/read", json={"message_id": last["id"]})
        assert (await ann.get(f"/chat/rooms/{between}")).json()["data"]["room"]["read_seq"] == last["seq"]
        # The end of an account: what they said stays, as nobody's; they are nowhere any more.
        export = (await ann.get(f"/users/{ann.id}/export")).json()["data"]["chat"]
        assert [one["content"] for one in export["messages"]] == ["Grüße an alle"]
        await ann.delete(f"/users/{ann.id}", json={"password": PASSWORD})
        seen = (await heard(bob, room_id))[0]
        assert (seen["content"], seen["user_id"], seen["username"]) == ("Grüße an alle", None, "deleted user")
        members = (await bob.get(f"/chat/rooms/{room_id}/members")).json()["data"]["members"]
        assert [(one["username"], one["role"]) for one in members] == [("bob", "owner"), ("cleo", "member")]
        refused = await cleo.post(f"/chat/rooms/{between}/messages", json={"content": "there?"})
        assert outcome(refused) == (404, "USER_NOT_FOUND")


@pytest.mark.usefixtures("still")
async def test_invitations_and_floods(database: Database, tmp_path: Path) -> None:
    """H3: an invitation lets in so many, so long; who says too much, or the same again, is slowed down."""
    async with open_world(database, tmp_path, rate_limit_enabled=True, rate_limit_global="9999/min") as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        room_id = await room(ann)
        base = f"/chat/rooms/{room_id}/invites"
        made = (await ann.post(base, json={"uses": 1})).json()["data"]["invite"]
        token = {"token": made["token"]}
        rows = await database.rows("SELECT digest FROM chat_invites")
        assert made["token"].encode() not in [bytes(row[0]) for row in rows]
        assert outcome(await bob.post("/chat/invites/accept", json=token)) == (200, "")
        assert outcome(await bob.get(base)) == (403, "FORBIDDEN")
        assert outcome(await cleo.post("/chat/invites/accept", json=token)) == (404, "INVITE_NOT_FOUND")
        again = (await ann.post(base, json={"expires_in": 60})).json()["data"]["invite"]
        assert len((await ann.get(base)).json()["data"]["invites"]) == 1
        with clock.shifted(timedelta(seconds=61)):
            late = await cleo.post("/chat/invites/accept", json={"token": again["token"]})
        assert outcome(late) == (404, "INVITE_NOT_FOUND")
        assert outcome(await ann.delete(f"{base}/{again['id']}")) == (200, "")
        path = f"/chat/rooms/{room_id}/messages"
        for expected in [(201, "")] * 3 + [(409, "REPEATED_MESSAGE")]:
            assert outcome(await bob.post(path, json={"content": "buy"})) == expected
        codes = [outcome(await ann.post(path, json={"content": str(n)})) for n in range(31)]
        assert codes == [(201, "")] * 30 + [(429, "RATE_LIMITED")]


async def test_a_token_opens_a_socket_and_nothing_else(database: Database, tmp_path: Path) -> None:
    """H1: it is not accepted where an access token is wanted, and nobody keeps it."""
    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        answer = await ann.get("/chat/token")
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()["data"]["token"]
        other = world.client({"Authorization": f"Bearer {token}"})
        assert outcome(await other.get("/auth/me")) == (401, "INVALID_TOKEN")
        assert outcome(await other.get("/chat/token")) == (401, "INVALID_TOKEN")

"""The chat's WebSocket at a real server, with a real client."""

import asyncio
import contextlib
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.faults.chat_clients import open_room, serving_here, talker
from veza.core import clock
from veza.core.db import Database

WIDE = {"rate_limit_global": "9999/min", "rate_limit_login": "99/min"}


async def closed_with(socket) -> int:
    async with asyncio.timeout(30):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return int(socket.close_code or 0)


async def test_two_talk_and_one_comes_back(database: Database, tmp_path: Path) -> None:
    """H6, H9: one order for both, the same client_id once; what was missed comes first, and nothing twice."""
    async with serving_here(database, tmp_path / "data", rate_limit_enabled=False) as served:
        ann, bob = await talker(served.url, "ann"), await talker(served.url, "bob")
        room_id = await open_room(ann, bob)
        await ann.open()
        await bob.open()
        assert (await ann.ask("join", room_id=room_id))["online"] == [ann.id]
        assert (await bob.ask("join", room_id=room_id))["online"] == [ann.id, bob.id]
        await ann.until(lambda: any(bob.id in frame["online"] for frame in ann.of("presence")))

        async def speak(person, n: int):
            return await person.ask("message", room_id=room_id, content=f"{n}", client_id=f"{n}")

        answers = await asyncio.gather(*(speak((ann, bob)[n % 2], n // 3) for n in range(36)))
        assert {answer["type"] for answer in answers} == {"ack"}
        sent = len({(answer["client_id"], answer["message_id"]) for answer in answers})
        await ann.until(lambda: len(ann.messages()) == sent)
        await bob.until(lambda: len(bob.messages()) == sent)
        assert ann.messages() == bob.messages()
        assert [one["seq"] for one in ann.messages()] == list(range(1, sent + 1))
        last = bob.messages()[-1]
        await bob.leave()
        for n in range(150):
            await speak(ann, 100 + n)
        first = ann.messages()[0]
        await ann.ask("edit", message_id=first["id"], content="other words")
        await ann.ask("reaction", message_id=first["id"], emoji="🎶")
        gone = next(one for one in ann.messages()[1:] if one["user_id"] == ann.id)
        await ann.ask("delete", message_id=gone["id"])
        before = len(bob.told)
        await bob.open()
        speaking = asyncio.gather(*(speak(ann, 300 + n) for n in range(40)))
        joined = await bob.ask("join", room_id=room_id, since=last["seq"])
        assert joined["type"] == "ack"
        await speaking
        await bob.until(lambda: len(bob.messages()) == sent + 190)
        assert [one["id"] for one in bob.messages()] == [one["id"] for one in ann.messages()]
        seqs = [one["seq"] for one in bob.messages()]
        assert seqs == sorted(set(seqs))
        assert any(
            frame["type"] == "edited" and frame["message"]["content"] == "other words"
            for frame in bob.told[before:]
        )
        assert [frame["message_id"] for frame in bob.of("deleted")] == [gone["id"]]
        again = await bob.ask("join", room_id=room_id, after=bob.messages()[-3]["id"])
        assert again["type"] == "ack"
        assert [one["id"] for one in bob.messages()[-2:]] == [one["id"] for one in ann.messages()[-2:]]
        assert (await bob.ask("typing", room_id=room_id))["type"] == "ack"
        assert (await bob.ask("read", room_id=room_id, message_id=last["id"]))["seq"] == last["seq"]
        await ann.until(lambda: ann.of("typing") and ann.of("read"))
        assert ann.of("typing")[0]["username"] == "bob"
        assert (await ann.ask("ping"))["type"] == "pong"
        for bad, code in (
            ({"kind": "shout"}, "UNKNOWN_FRAME"),
            ({"kind": "message", "room_id": room_id, "content": ""}, "VALIDATION_ERROR"),
            ({"kind": "join", "room_id": ann.id}, "ROOM_NOT_FOUND"),
        ):
            answer = await ann.ask(**bad)
            assert (answer["type"], answer["code"]) == ("error", code)
        # X13: it ends at once, and says so.
        ending = asyncio.create_task(served.end())
        await asyncio.gather(ann.until(lambda: ann.closed), bob.until(lambda: bob.closed))
        assert {ann.closed, bob.closed} <= {1001, 1012}
        assert await ending == 0
        await asyncio.gather(ann.end(), bob.end())


async def test_who_is_not_let_in_and_who_is_let_go(database: Database, tmp_path: Path) -> None:
    """G23, H1, H2, H3, H4, H6: a token opens one, a foreign page none; floods, nonsense, sign-out end it.

    H7: and those that come back at once, as many as one may have, are all back for a second's work.
    """
    async with serving_here(database, tmp_path / "data", **WIDE) as served:
        ann, bob = await talker(served.url, "ann"), await talker(served.url, "bob")
        room_id = await open_room(ann, bob)
        address = served.url.replace("http", "ws", 1) + "/api/v1/chat/ws"
        token = await ann.chat_token()
        async with connect(f"{address}?token={token}", compression=None) as socket:
            await socket.send('{"type": "ping", "id": 1}')
            assert await socket.recv() == '{"type":"pong","id":1}'
            async with connect(f"{address}?token={token}") as second:
                assert await closed_with(second) == 4401
        for bad in ("", "?token=a.b.c", f"?token={ann.token}"):
            async with connect(address + bad) as socket:
                assert await closed_with(socket) == 4401
        for path, more, status in (
            ("", {"Origin": "https://evil.example"}, 403),
            ("", {"Sec-WebSocket-Version": "8"}, 400),
            ("s", {}, 404),
        ):
            with pytest.raises(InvalidStatus) as told:
                await connect(address + path, additional_headers={"X-Request-ID": "find-me-1", **more})
            answer = told.value.response
            assert (answer.status_code, answer.headers["X-Request-ID"]) == (status, "find-me-1")
            assert json.loads(answer.body)["error"]["code"] in {"FORBIDDEN", "INVALID_REQUEST", "NOT_FOUND"}
        # Too late by a second, or of a session that has ended since.
        late = await ann.chat_token()
        with clock.shifted(timedelta(seconds=61)):
            async with connect(f"{address}?token={late}") as socket:
                assert await closed_with(socket) == 4401

        async def opened():
            return await connect(f"{address}?token={await ann.chat_token()}", compression=None)

        async def broken(*frames: object) -> int:
            socket = await opened()
            try:
                for frame in frames:
                    await socket.send(frame)
            except ConnectionClosed:
                pass
            return await closed_with(socket)

        assert await broken("x" * 65_537) == 1009
        assert await broken(b"\0") == 1003
        assert await broken(*['{"type": "ping"}'] * 1_000) == 1008
        assert await broken(["x"] * 100) == 1008
        socket = await opened()
        await socket.send(b"\xff\xfe", text=True)
        assert await closed_with(socket) == 1007
        socket = await opened()
        for _ in range(100):
            with contextlib.suppress(ConnectionClosed):
                await socket.ping()
        assert await closed_with(socket) == 1008
        # Nothing is packed, whatever is offered: so nothing unpacks to more than it was.
        async with connect(f"{address}?token={await ann.chat_token()}", compression="deflate") as socket:
            assert socket.protocol.extensions == []
        # As many as one may have come at once; one more is sent away, and they all hear on.
        tokens = [await ann.chat_token() for _ in range(21)]
        async with asyncio.timeout(30), contextlib.AsyncExitStack() as stack:

            async def come(token: str) -> None:
                socket = await stack.enter_async_context(connect(f"{address}?token={token}"))
                await socket.send('{"type": "ping"}')
                assert await socket.recv() == '{"type":"pong","id":null}'

            worked = time.process_time()
            await asyncio.gather(*map(come, tokens[:20]))
            assert time.process_time() - worked < 1
            one_more = await connect(f"{address}?token={tokens[20]}")
            assert await closed_with(one_more) == 1008
        # Who closes in the midst of a message has broken nothing (Autobahn's case 7.1.5).
        socket = await opened()
        socket.transport.write(b"\x01\x81\0\0\0\0x")
        await socket.close()
        assert socket.close_code == 1000
        # A kick is felt at once, and every word is checked; so is the end of a session.
        await ann.open()
        await bob.open()
        for person in (ann, bob):
            assert (await person.ask("join", room_id=room_id))["type"] == "ack"
        kick = await ann.client.delete(f"/chat/rooms/{room_id}/members/{bob.id}")
        assert kick.status_code == 200
        refused = await bob.ask("message", room_id=room_id, content="still?", client_id="1")
        assert refused["code"] == "ROOM_NOT_FOUND"
        await bob.until(lambda: bob.of("removed"))
        await ann.ask("message", room_id=room_id, content="alone", client_id="1")
        await ann.until(ann.messages)
        assert bob.messages() == []
        unused = await bob.chat_token()
        assert (await bob.client.post("/sessions/logout-all")).status_code == 200
        await bob.until(lambda: bob.closed)
        assert bob.closed == 4401
        async with connect(f"{address}?token={unused}") as socket:
            assert await closed_with(socket) == 4401
        await asyncio.gather(ann.end(), bob.end())

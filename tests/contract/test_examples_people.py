"""The examples of the contract about people: accounts, sessions, what they are told, who looks after them."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.contract.replay import OTHERWISE, Replay
from tests.receiver import receiving
from tests.rooms.audit_house import seal
from tests.rooms.listening_house import song, until
from tests.rooms.test_suspicious import look
from tests.rooms.test_tracks_pictures import picture
from tests.rooms.uploads_house import wave
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.rooms.accounts import mail_tokens

SECTIONS = (
    "Authentication", "User", "Session", "Role", "Notification", "Audit", "Admin", "Analytics", "Webhook",
    "Chat",
)  # fmt: skip


async def test_somebody_comes_is_told_looks_back_and_leaves(database: Database, tmp_path: Path) -> None:
    """All that is said of one person, from the registration to the end of their last session."""
    choices = {"work": True, "webhook_allow_private": True}
    async with open_world(database, tmp_path, **choices) as world, receiving() as receiver:
        replay = Replay(*SECTIONS)
        john = await _comes(replay, world)
        await _is_somebody(replay, world, john)
        await _works(replay, world, john, receiver.url)
        await _looks_back(replay, world, john)
        await _leaves(replay, world, john)
    assert replay.wrong == [], "\n".join(replay.wrong)
    assert replay.excused == OTHERWISE.keys(), "an exception that nothing needs"


def _signed_in(world: World, data: Any) -> Person:
    return Person(world.client({"Authorization": f"Bearer {data['token']['access_token']}"}), data)


async def _comes(replay: Replay, world: World) -> Person:
    ask, guest = replay.ask, world.guest
    await ask(guest, "GET /auth/check-username")
    await ask(guest, "POST /auth/register")
    john = _signed_in(world, (await ask(guest, "POST /auth/login"))["data"])
    await ask(guest, "POST /auth/resend-verification")
    async with world.parts.database.write() as tx:
        token = await mail_tokens.issue(
            tx, mail_tokens.VERIFY, UUID(john.id), "john@example.com", timedelta(hours=1)
        )
    await ask(guest, "POST /auth/verify-email", query={"token": token})
    await ask(guest, "POST /auth/refresh", refresh_token=john.refresh_token)
    return _signed_in(world, (await ask(guest, "POST /auth/login"))["data"])


async def _is_somebody(replay: Replay, world: World, john: Person) -> None:
    ask = replay.ask
    await ask(john, "GET /auth/me")
    await ask(john, "PUT /users/{id}", john.id)
    await ask(john, "GET /users/{id}/completion", john.id)
    answer = await john.put(f"/users/{john.id}/avatar", files={"file": ("a.png", picture())})
    assert answer.status_code == 200, answer.text
    for person in (john, world.guest):
        await ask(person, "GET /users/{id}", john.id)
    await ask(world.guest, "GET /users/by-username/{username}", "johndoe")
    roles = (await ask(john, "GET /roles"))["data"]["roles"]
    await ask(john, "GET /roles/{id}", roles[0]["id"])


async def _works(replay: Replay, world: World, john: Person, url: str) -> None:
    ask = replay.ask
    assert (await john.post("/tracks", files={"file": ("a.wav", wave(1_000))})).status_code == 201
    assert (await john.post("/playlists", json={"title": "Evening"})).status_code == 201
    track, listener = await song(world, john), await world.person("listener")
    await listener.post(f"/tracks/{track}/like")
    await ask(john, "POST /analytics/events")
    await ask(john, "GET /analytics/tracks/{id}", track)
    hook = (await ask(john, "POST /webhooks"))["data"]["id"]
    here = (await ask(john, "POST /webhooks", url=url))["data"]["id"]
    await ask(john, "GET /webhooks")
    assert (await ask(john, "POST /webhooks/{id}/test", here))["data"]["status"] == "delivered"
    await ask(john, "GET /webhooks/stats")
    await ask(john, "POST /webhooks/{id}/regenerate-key", hook)
    await ask(john, "DELETE /webhooks/{id}", hook)
    await ask(john, "GET /chat/token")
    await ask(john, "GET /chat/stats")


async def _looks_back(replay: Replay, world: World, john: Person) -> None:
    ask, narrow, boss = replay.ask, replay.narrow, await world.person("boss", "admin")

    async def told() -> Any:
        return (await john.get("/notifications")).json()["data"]["notifications"]

    await until(told)
    await ask(john, "GET /notifications")
    await narrow(john, "GET /notifications")
    await ask(john, "POST /notifications/{id}/read", (await told())[0]["id"])
    await ask(john, "POST /notifications/read-all")
    await seal(world)
    await look(world)
    await ask(john, "GET /audit/logs")
    await narrow(john, "GET /audit/logs", user_id=john.id)
    await ask(john, "GET /audit/stats")
    await ask(boss, "GET /admin/audit/logs", like="GET /audit/logs")
    await ask(boss, "GET /admin/audit/stats", like="GET /audit/stats")
    await ask(boss, "GET /admin/audit/suspicious")


async def _leaves(replay: Replay, world: World, john: Person) -> None:
    ask, guest = replay.ask, world.guest
    one, other, last = [_signed_in(world, (await ask(guest, "POST /auth/login"))["data"]) for _ in range(3)]
    sessions = (await ask(john, "GET /sessions"))["data"]["sessions"]
    await ask(john, "GET /sessions/stats")
    await ask(last, "DELETE /sessions/{session_id}", sessions[-1]["id"])
    await ask(one, "POST /auth/logout", refresh_token=one.refresh_token)
    await ask(other, "POST /sessions/logout")
    await ask(last, "POST /sessions/logout-all")

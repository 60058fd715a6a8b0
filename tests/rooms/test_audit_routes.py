"""Every change of state leaves a row in the log, in the transaction of the change.

The router names the routes: one that is never tried here fails, and so does one that leaves no trace.
"""

import re
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pyotp
from litestar.routes import HTTPRoute

from tests.rooms.audit_house import tell
from tests.rooms.market_house import ORDERS, PRODUCTS
from tests.rooms.playlists_house import make
from tests.rooms.test_admin import FRAGILE, Told, work
from tests.rooms.test_suspicious import look
from tests.rooms.test_tracks_pictures import picture
from tests.rooms.tracks_house import plant
from tests.rooms.uploads_house import Sender, wave
from tests.world import PASSWORD, Person, World, open_world
from veza.core.db import Database
from veza.core.jobs import enqueue
from veza.rooms.accounts import mail_tokens
from veza.rooms.sessions.events import RefreshReused

# What leaves a trace of its own instead, and where.
TRACED_ELSEWHERE = {
    "POST /tracks/{track_id}/play": "a play is a row of `plays`, with listener and time",
    "POST /tracks/chunk": "a chunk is a row of `chunks`; its upload is in the log from its start to its end",
    "POST /analytics/events": "a row of `analytics_events` for each",
    "POST /analytics/events/batch": "a row of `analytics_events` for each",
    "POST /webhooks/{webhook_id}/test": "a row of `webhook_deliveries`, with each attempt",
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": "a row of `webhook_deliveries`",
    "POST /webhooks/{webhook_id}/replay": "rows of `webhook_deliveries`",
    "POST /payments/stripe/webhook": "a row of `provider_notices`; what follows of it is in the log",
    **dict.fromkeys(
        (
            "POST /notifications/{notification_id}/read", "POST /notifications/read-all",
            "DELETE /notifications/{notification_id}", "DELETE /notifications/read",
            "PUT /notifications/preferences",
        ),
        "what somebody has read of what they were told, and wants to be told, is nobody else's",
    ),
    **dict.fromkeys(
        (
            "POST /chat/rooms/{room_id}/messages", "PUT /chat/messages/{message_id}",
            "DELETE /chat/messages/{message_id}", "POST /chat/messages/{message_id}/pin",
            "DELETE /chat/messages/{message_id}/pin", "POST /chat/messages/{message_id}/reactions",
            "DELETE /chat/messages/{message_id}/reactions/{emoji}", "POST /chat/rooms/{room_id}/read",
        ),
        "a message is a row of `chat_messages`, with its author, its times and the order of its changes",
    ),
    # Where no money is moved there are none of these.
    **dict.fromkeys(
        ("POST /marketplace/payouts/account", "POST /marketplace/orders/{order_id}/cancel"),
        "tried in tests/rooms/test_payments.py",
    ),
}  # fmt: skip


def changing(world: World) -> set[str]:
    """Every route that changes something."""
    return {
        f"{method} {route.path_format.removeprefix('/api/v1')}"
        for route in world.app.app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/api/v1/")
        for handler in route.route_handlers
        for method in handler.http_methods & {"POST", "PUT", "DELETE", "PATCH"}
    }


class Watch:
    """Sees every request of everybody who was told to wear it, and which of them succeeded."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tried: dict[str, list[str]] = defaultdict(list)
        # What is spelt out comes before what has a place for an id.
        self.routes = sorted(changing(world), key=lambda route: route.count("{"))

    def over(self, person: Person) -> Person:
        person.client.event_hooks = {"response": [self.see]}
        return person

    async def see(self, answer: httpx.Response) -> None:
        asked = f"{answer.request.method} {answer.request.url.path.removeprefix('/api/v1')}"
        for route in self.routes:
            if answer.is_success and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route), asked):
                self.tried[route].append(answer.headers["x-request-id"])
                return

    async def traces(self) -> dict[str, list[str]]:
        """For each route that was tried the kinds of events that it left."""
        rows = await self.world.parts.database.rows("SELECT request_id, kind FROM events ORDER BY id")
        kinds = defaultdict(list)
        for request_id, kind in rows:
            kinds[request_id].append(kind)
        return {route: [kind for one in ids for kind in kinds[one]] for route, ids in self.tried.items()}


async def test_every_change_leaves_a_row(database: Database, tmp_path: Path) -> None:
    """D3: generated from the router; a route that is new has to be tried below."""
    async with open_world(database, tmp_path, payout_minimum=1) as world:
        watch = Watch(world)
        watch.over(world.guest)
        cast = {name: watch.over(await world.person(name)) for name in ("ada", "bob")}
        cast["boss"] = watch.over(await world.person("boss", "admin"))
        for part in (
            _social,
            _tracks,
            _uploads,
            _playlists,
            _market,
            _hooks,
            _chat,
            _moderation,
            _account,
            _ends,
        ):
            await part(world, watch, **cast)
        traces = await watch.traces()
        missing = sorted(changing(world) - set(TRACED_ELSEWHERE) - set(traces))
        assert missing == [], "was not tried, or failed"
        silent = [route for route, kinds in traces.items() if not kinds and route not in TRACED_ELSEWHERE]
        assert silent == []


async def ok(answer: Any) -> Any:
    """What a request got, which succeeded."""
    found = await answer
    assert found.is_success, (found.request.url, found.text)
    return found.json()["data"]


async def _social(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    for what in ("follow", "block"):
        await ok(ada.post(f"/users/{bob.id}/{what}"))
        await ok(ada.delete(f"/users/{bob.id}/{what}"))
    await ok(ada.put(f"/users/{ada.id}", json={"bio": "Plays."}))
    await ok(ada.put(f"/users/{ada.id}/avatar", files={"file": ("a.jpg", picture(), "image/jpeg")}))
    await ok(ada.delete(f"/users/{ada.id}/avatar"))
    await ok(boss.put(f"/admin/users/{bob.id}/role", json={"role": "creator"}))


async def _tracks(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    at = f"/tracks/{await plant(world, ada)}"
    await ok(ada.post("/tracks", files={"file": ("a.wav", wave(4000))}))
    await ok(ada.put(at, json={"title": "Other"}))
    await ok(ada.put(f"{at}/cover", files={"file": ("a.jpg", picture(), "image/jpeg")}))
    await ok(ada.delete(f"{at}/cover"))
    await ok(bob.post(f"{at}/like"))
    await ok(bob.delete(f"{at}/like"))
    comment = (await ok(bob.post(f"{at}/comments", json={"content": "Fine"})))["comment"]["id"]
    await ok(bob.put(f"/comments/{comment}", json={"content": "Better"}))
    await ok(bob.delete(f"/comments/{comment}"))
    await ok(bob.post(f"{at}/play", json={"duration": 0}))
    await ok(ada.post("/tracks/batch/delete", json={"track_ids": [await plant(world, ada)]}))
    await ok(ada.delete(at))


async def _uploads(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    for filename in ("whole.wav", "given-up.wav"):
        sender = Sender(ada, wave(4000), 3000, filename)
        await ok(sender.start())
        await sender.send_all()
        if filename == "whole.wav":
            await ok(sender.complete())
        else:
            await ok(ada.delete(f"/tracks/resume/{sender.id}"))
    upload = await ok(ada.post("/uploads", files={"file": ("a.jpg", picture(), "image/jpeg")}))
    await ok(ada.delete(f"/uploads/{upload['upload_id']}"))


async def _playlists(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    made = await ok(ada.post("/playlists", json={"title": "Evening", "is_public": True}))
    at, (one, other) = f"/playlists/{made['playlist']['id']}", [await plant(world, ada) for _ in range(2)]
    for track in (one, other):
        await ok(ada.post(f"{at}/tracks", json={"track_id": track}))
    await ok(ada.put(at, json={"title": "Morning"}))
    await ok(ada.put(f"{at}/tracks/reorder", json={"track_ids": [other, one]}))
    await ok(ada.put(f"{at}/tracks/{one}", json={"position": 1}))
    await ok(ada.delete(f"{at}/tracks/{one}"))
    await ok(ada.put(f"{at}/cover", files={"file": ("a.jpg", picture(), "image/jpeg")}))
    await ok(ada.delete(f"{at}/cover"))
    await ok(bob.post(f"{at}/follow"))
    await ok(bob.delete(f"{at}/follow"))
    await ok(ada.post(f"{at}/collaborators", json={"user_id": bob.id, "permission": "read"}))
    await ok(ada.put(f"{at}/collaborators/{bob.id}", json={"permission": "write"}))
    await ok(ada.delete(f"{at}/collaborators/{bob.id}"))
    await ok(ada.post(f"{at}/share"))
    links = await ok(ada.get(f"{at}/share"))
    await ok(ada.delete(f"{at}/share/{links['links'][0]['id']}"))
    await ok(ada.post(f"{at}/collaborators", json={"user_id": bob.id, "permission": "admin"}))
    await ok(ada.put(f"{at}/owner", json={"user_id": bob.id}))
    await ok(bob.delete(at))


async def _market(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    draft = {"title": "A lesson", "price": 9.99, "product_type": "service"}
    product = (await ok(ada.post(PRODUCTS, json=draft)))["id"]
    order = (await ok(bob.post(ORDERS, json={"items": [{"product_id": product}]})))["id"]
    await ok(ada.post(f"{ORDERS}/{order}/refund"))
    order = (await ok(bob.post(ORDERS, json={"items": [{"product_id": product}]})))["id"]
    service = f"{ORDERS}/{order}/services/{product}"
    await ok(ada.post(f"{service}/deliver", json={"note": "Here"}))
    await ok(bob.post(f"{service}/revision", json={"reason": "Louder"}))
    await ok(ada.post(f"{service}/deliver", json={"note": "Here again"}))
    await ok(bob.post(f"{service}/accept"))
    payout = (await ok(ada.post("/marketplace/payouts", json={"amount": 9.99})))["id"]
    await ok(boss.put(f"/admin/payouts/{payout}", json={"status": "paid"}))
    await ok(ada.put(f"{PRODUCTS}/{product}", json={"title": "Two lessons"}))


async def _hooks(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    made = await ok(ada.post("/webhooks", json={"url": "https://hooks.example/a", "events": ["*"]}))
    at = f"/webhooks/{made['id']}"
    await ok(ada.put(at, json={"events": ["track.liked"]}))
    await ok(ada.post(f"{at}/regenerate-key"))
    await ok(boss.post(f"/admin{at}/retry"))
    await ok(ada.delete(at))


async def _chat(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    made = (await ok(ada.post("/chat/rooms", json={"name": "Evening", "type": "private"})))["room"]
    at = f"/chat/rooms/{made['id']}"
    await ok(ada.put(at, json={"topic": "Talk"}))
    await ok(ada.post(f"{at}/members", json={"user_id": bob.id}))
    await ok(ada.put(f"{at}/members/{bob.id}", json={"role": "moderator"}))
    await ok(ada.delete(f"{at}/members/{bob.id}"))
    await ok(ada.post(f"{at}/bans", json={"user_id": bob.id}))
    await ok(ada.delete(f"{at}/bans/{bob.id}"))
    invite = (await ok(ada.post(f"{at}/invites", json={})))["invite"]
    await ok(bob.post("/chat/invites/accept", json={"token": invite["token"]}))
    await ok(ada.delete(f"{at}/invites/{invite['id']}"))
    public = (await ok(ada.post("/chat/rooms", json={"name": "Open", "type": "public"})))["room"]
    await ok(bob.post(f"/chat/rooms/{public['id']}/join"))
    await ok(ada.delete(at))
    await ok(ada.post(f"/tracks/{await plant(world, ada)}/room"))
    await ok(ada.post(f"/playlists/{await make(world, ada)}/room"))


async def _moderation(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    dave = await world.person("dave")
    told = {"target_type": "track", "target_id": await plant(world, ada), "reason": "spam"}
    report = (await ok(bob.post("/reports", json=told)))["report"]["id"]
    await ok(boss.post(f"/admin/reports/{report}/resolve", json={"action": "remove"}))
    await ok(boss.post(f"/admin/reports/{report}/revoke"))
    await ok(boss.post(f"/admin/users/{dave.id}/suspend", json={"reason": "Spam"}))
    await ok(boss.post(f"/admin/users/{dave.id}/restore"))
    async with world.parts.database.write() as tx:
        for number in range(3):
            await enqueue(tx, FRAGILE, Told(number))
    await work(world, well=False)
    dead = (await ok(boss.get("/admin/jobs/dead?kind=test.fragile")))["jobs"]
    await ok(boss.post(f"/admin/jobs/{dead[0]['id']}/retry"))
    await ok(boss.delete(f"/admin/jobs/{dead[1]['id']}"))
    await ok(boss.post("/admin/jobs/retry", json={"kind": "test.fragile"}))
    await tell(world.parts.database, RefreshReused(UUID(ada.id), UUID(ada.id)))
    await look(world)
    found = (await ok(boss.get("/admin/audit/suspicious")))["findings"]
    await ok(boss.post(f"/admin/audit/suspicious/{found[0]['id']}/acknowledge", json={}))


async def _token(world: World, person: Person, purpose: str) -> str:
    async with world.parts.database.write() as tx:
        address = f"{person.username}@example.com"
        return await mail_tokens.issue(tx, purpose, UUID(person.id), address, timedelta(hours=1))


async def _account(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    guest, twice = world.guest, {"password": PASSWORD, "password_confirm": PASSWORD}
    address = {"email": "cleo@example.com"}
    data = await ok(guest.post("/auth/register", json={"username": "cleo", **address, **twice}))
    cleo = watch.over(_signed_in(world, data))
    await ok(guest.post("/auth/resend-verification", json=address))
    await ok(guest.post(f"/auth/verify-email?token={await _token(world, cleo, mail_tokens.VERIFY)}"))
    await ok(guest.post("/auth/password/forgot", json=address))
    await ok(cleo.post("/auth/password/change", json={"current_password": PASSWORD, **twice}))
    data["token"] = await ok(guest.post("/auth/refresh", json={"refresh_token": cleo.refresh_token}))
    secret = (await ok(cleo.post("/auth/2fa/setup")))["secret"]
    codes = (await ok(cleo.post("/auth/2fa/enable", json={"code": pyotp.TOTP(secret).now()})))[
        "recovery_codes"
    ]
    login = await ok(guest.post("/auth/login", json={**address, "password": PASSWORD}))
    shown = {"challenge_token": login["challenge_token"], "code": codes[0]}
    await ok(guest.post("/auth/2fa/verify", json=shown))
    await ok(cleo.post("/auth/2fa/disable", json={"password": PASSWORD, "code": codes[1]}))
    reset = await _token(world, cleo, mail_tokens.RESET)
    await ok(guest.post("/auth/password/reset", json={"token": reset, **twice}))


def _signed_in(world: World, data: Any) -> Person:
    return Person(world.client({"Authorization": f"Bearer {data['token']['access_token']}"}), data)


async def _ends(world: World, watch: Watch, ada: Person, bob: Person, boss: Person) -> None:
    login = {"email": "cleo@example.com", "password": PASSWORD}
    people = [
        watch.over(_signed_in(world, await ok(world.guest.post("/auth/login", json=login)))) for _ in range(5)
    ]
    await ok(people[0].post("/auth/logout", json={"refresh_token": people[0].refresh_token}))
    await ok(people[1].post("/sessions/logout"))
    sessions = (await ok(people[2].get("/sessions")))["sessions"]
    await ok(people[2].delete(f"/sessions/{sessions[0]['id']}"))
    await ok(people[3].post("/sessions/logout-all"))
    await ok(bob.client.request("DELETE", f"/users/{bob.id}", json={"password": PASSWORD}))

"""Who may do what with all that no other table is about: people, what is sold, and what is somebody's own.

The router names the routes: one that stands in no table, here or there, fails, and so does a row of nothing.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar.routes import HTTPRoute
from msgspec import to_builtins

from tests.core.asking import Answer, ask
from tests.core.test_guards import contents
from tests.filling import filled
from tests.receiver import receiving
from tests.rooms import test_admin_guard, test_chat_guard, test_playlists_guard, test_track_guard
from tests.rooms.market_house import bought, offer, offer_track
from tests.rooms.test_chat_feeds import FakeWire
from tests.rooms.test_track_guard import anonymous
from tests.rooms.tracks_house import NOBODY
from tests.rooms.uploads_house import form
from tests.rooms.webhooks_house import hook
from tests.world import PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.wire import WIRE
from veza.rooms.chat.hub import SIGNED_OUT
from veza.rooms.following.events import UserFollowed
from veza.rooms.notifications.tellers import hear
from veza.rooms.roles.routes import _IDS as ROLE_IDS

# A guest, a stranger, one who has bought what is sold, Olga, whose all of it is, two who moderate, and
# somebody whom she has blocked.
PEOPLE = ("guest", "stan", "cleo", "olga", "mona", "adam", "bea")
ROLES = {"mona": "moderator", "adam": "admin"}
# What a letter stands for; the first three succeed.
DONE = "oA+"
OUTCOMES = {
    "o": (200, ""), "+": (201, ""), "A": (202, ""), "u": (401, "UNAUTHENTICATED"),
    "t": (401, "INVALID_TOKEN"), "f": (403, "FORBIDDEN"), "v": (422, "VALIDATION_ERROR"),
    "z": (404, "NOT_FOUND"),
    "n": (404, "USER_NOT_FOUND"), "a": (404, "AVATAR_NOT_FOUND"), "w": (422, "OWN_ACCOUNT"),
    "p": (404, "PRODUCT_NOT_FOUND"), "b": (403, "NOT_PURCHASED"), "g": (403, "SIGNATURE_INVALID"),
    "x": (409, "PRODUCT_NOT_AVAILABLE"), "y": (409, "ALREADY_OWNED"), "m": (422, "OWN_PRODUCT"),
    "r": (404, "ORDER_NOT_FOUND"), "l": (409, "NOT_LATE"), "c": (409, "ORDER_NOT_PENDING"),
    "s": (404, "SERVICE_NOT_FOUND"), "e": (409, "NOT_DELIVERED"), "q": (409, "NOT_TO_DELIVER"),
    "h": (404, "WEBHOOK_NOT_FOUND"), "k": (404, "DELIVERY_NOT_FOUND"), "i": (404, "NOTIFICATION_NOT_FOUND"),
    "j": (400, "TOKEN_INVALID"), "T": (409, "TWO_FACTOR_NOT_SET_UP"), "F": (409, "TWO_FACTOR_OFF"),
    "U": (404, "UPLOAD_NOT_FOUND"), "B": (409, "INSUFFICIENT_BALANCE"), "O": (409, "PAYOUTS_NOT_OFFERED"),
    "P": (404, "PAYMENT_PROVIDER_NOT_FOUND"),
}  # fmt: skip
# Which ask nobody who they are.
OPEN = {
    "GET /auth/check-username?username=xyz": "o", "POST /auth/register": "v", "POST /auth/login": "o",
    "POST /auth/refresh": "t", "POST /auth/2fa/verify": "t", "POST /auth/verify-email?token=x": "j",
    "POST /auth/resend-verification": "o", "POST /auth/password/forgot": "o",
    "POST /auth/password/reset": "j", "GET /tracks": "o", "GET /tracks/search": "o", "GET /search?q=x": "o",
    "GET /marketplace/products": "o", "GET /events/signed?sig=x": "g", "POST /payments/stripe/webhook": "P",
}  # fmt: skip
# Which are for whoever is signed in, and about nothing but themselves.
SIGNED_IN = {
    "GET /auth/me": "o", "POST /auth/2fa/enable": "T", "POST /auth/2fa/disable": "F",
    "POST /auth/2fa/setup": "o", "POST /auth/password/change": "v", "POST /auth/logout": "z",
    "GET /sessions": "o",
    "GET /sessions/stats": "o", "POST /sessions/logout": "o", "POST /sessions/logout-all": "o",
    "GET /tracks/recommendations": "o", "POST /tracks": "v", "POST /tracks/initiate": "o",
    "POST /tracks/chunk": "v", "POST /tracks/complete": "U", "POST /tracks/batch/delete": "o",
    "GET /uploads": "o", "POST /uploads": "v", "GET /playlists": "o", "POST /playlists": "+",
    "GET /playlists/search": "o", "GET /playlists/recommendations": "o", "GET /feed": "o",
    "POST /marketplace/products": "+", "GET /marketplace/orders": "o", "GET /marketplace/sales": "o",
    "GET /marketplace/sales/orders": "o", "GET /marketplace/sales/deliveries": "o",
    "GET /marketplace/balance": "o", "GET /marketplace/statement": "o", "GET /marketplace/payouts": "o",
    "POST /marketplace/payouts": "B", "GET /marketplace/payouts/account": "O",
    "POST /marketplace/payouts/account": "O", "POST /analytics/events": "o",
    "POST /analytics/events/batch": "o", "GET /notifications": "o", "POST /notifications/read-all": "o",
    "DELETE /notifications/read": "o", "GET /notifications/preferences": "o",
    "PUT /notifications/preferences": "o", "GET /events": "o", "GET /events/token": "o",
    "GET /webhooks": "o", "POST /webhooks": "+", "GET /webhooks/stats": "o", "GET /audit/logs": "o",
    "GET /audit/stats": "o", "GET /audit/export": "o", "GET /audit/suspicious": "o", "GET /roles": "o",
    "GET /roles/{role_id}": "o",
}  # fmt: skip
# For each state what the seven get, a letter for each. Once she is no longer there, Olga is signed out.
ON_USERS = {
    #                                                 there   suspended deleted
    "GET /users/{user_id}":                          "oooooon nnntoon nnntnnn",
    "GET /users/by-username/{username}":             "oooooon nnntoon nnntnnn",
    "PUT /users/{user_id}":                          "uffofon unntfon unntnnn",
    "GET /users/{user_id}/completion":               "uffofon unntfon unntnnn",
    "GET /users/{user_id}/export":                   "uffofon unntfon unntnnn",
    "GET /users/{user_id}/blocks":                   "uffofon unntfon unntnnn",
    "GET /users/{user_id}/avatar":                   "aaaaaan nnntaan nnntnnn",
    "PUT /users/{user_id}/avatar":                   "uffvfvn unntfvn unntnnn",
    "DELETE /users/{user_id}/avatar":                "uffofon unntfon unntnnn",
    "GET /users/{user_id}/follow":                   "uooooon unntoon unntnnn",
    "POST /users/{user_id}/follow":                  "uoowoon unntoon unntnnn",
    "DELETE /users/{user_id}/follow":                "uooooon unntoon unntnnn",
    "GET /users/{user_id}/followers":                "oooooon nnntoon nnntnnn",
    "GET /users/{user_id}/following":                "oooooon nnntoon nnntnnn",
    "POST /users/{user_id}/block":                   "uoowoon unntoon unntnnn",
    "DELETE /users/{user_id}/block":                 "uooooon unntoon unntnnn",
    "GET /analytics/artists/{user_id}":              "uffofon unntfon unntnnn",
    "GET /analytics/artists/{user_id}/export":       "uffofon unntfon unntnnn",
    "GET /audit/logs?user_id={user_id}":             "uffofof ufftfof ufftfof",
    "POST /reports":                                 "u+++++n unnt++n unntnnn",
    "DELETE /users/{user_id}":                       "uffofon unntfon unntnnn",
}  # fmt: skip
ON_PRODUCTS = {
    #                                                 on sale draft   archived sold
    "GET /marketplace/products/{product_id}":        "oooooop pppoppp ppooppp ppooppp",
    "PUT /marketplace/products/{product_id}":        "uffoffp uppoppp upfoppp upfoppp",
    "GET /marketplace/download/{product_id}":        "ubobbbp uppbppp upobppp upobppp",
    "GET /marketplace/download/{product_id}/file":   "ggggggg ggggggg ggggggg ggggggg",
    "POST /marketplace/orders":                      "u+ym++p uxxmxxp uxymxxp uxymxxp",
}  # fmt: skip
ON_ORDERS = {
    #                                                 ordered delivered
    "GET /marketplace/orders/{order_id}":            "urooror urooror",
    "POST /marketplace/orders/{order_id}/cancel":    "urcrrrr urcrrrr",
    "POST /marketplace/orders/{order_id}/refund":    "urloror urforor",
    "GET /marketplace/orders/{order_id}/services/{service_id}":
                                                     "usoosos usoosos",
    "POST /marketplace/orders/{order_id}/services/{service_id}/deliver":
                                                     "usfosfs usfqsfs",
    "POST /marketplace/orders/{order_id}/services/{service_id}/revision":
                                                     "usefsfs usofsfs",
    "POST /marketplace/orders/{order_id}/services/{service_id}/accept":
                                                     "usefsfs usofsfs",
}  # fmt: skip
# What is Olga's own: nobody else is told that there is such a thing.
ON_OWN = {
    "GET /webhooks/{webhook_id}":                                          "uhhohhh",
    "PUT /webhooks/{webhook_id}":                                          "uhhohhh",
    "POST /webhooks/{webhook_id}/test":                                    "uhhohhh",
    "POST /webhooks/{webhook_id}/regenerate-key":                          "uhhohhh",
    "POST /webhooks/{webhook_id}/replay":                                  "uhhAhhh",
    "GET /webhooks/{webhook_id}/deliveries":                               "uhhohhh",
    "GET /webhooks/{webhook_id}/deliveries/{delivery_id}":                 "uhhkhhh",
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver":      "uhhkhhh",
    "DELETE /webhooks/{webhook_id}":                                       "uhhohhh",
    "POST /notifications/{notification_id}/read":                          "uiioiii",
    "DELETE /notifications/{notification_id}":                             "uiioiii",
    "DELETE /sessions/{session_id}":                                       "uzzozzz",
}  # fmt: skip
# What people and machines see outside the API: the same for all.
PAGES = {
    "GET /": 302, "GET /swagger/doc.json": 200, "GET /swagger/index.html": 200,
    "GET /swagger/swagger.js": 200,
    "GET /swagger/swagger-ui.css": 200, "GET /swagger/swagger-ui-bundle.js": 200, "GET /redoc": 200,
    "GET /redoc/redoc.js": 200, "GET /redoc/redoc.standalone.js": 200, "GET /verify-email": 200,
    "GET /reset-password": 200, "GET /forgot-password": 200, "GET /account/pages.js": 200,
    "GET /account/pages.css": 200, "GET /playlists/shared/{token}": 302, "GET /payments/returned": 200,
    "GET /notifications/unsubscribe": 200, "POST /notifications/unsubscribe?of=x&sig=x": 403,
    "GET /healthz": 200, "GET /readyz": 200, "GET /metrics": 200,
}  # fmt: skip
SOCKETS = {"/chat/ws": "uoooooo"}

LETTER = {"email": "{username}@example.com"}
TWICE = {"password": PASSWORD, "password_confirm": PASSWORD}
BODIES: dict[str, Any] = {
    "POST /auth/register": {"username": "x"}, "POST /auth/login": {**LETTER, "password": PASSWORD},
    "POST /auth/refresh": {"refresh_token": "x"},
    "POST /auth/2fa/verify": {"challenge_token": "x", "code": "1"},
    "POST /auth/resend-verification": LETTER, "POST /auth/password/forgot": LETTER,
    "POST /auth/password/reset": {"token": "x", **TWICE}, "POST /auth/2fa/enable": {"code": "1"},
    "POST /auth/2fa/disable": {"password": PASSWORD, "code": "1"},
    "POST /auth/logout": {"refresh_token": "x"},
    "POST /auth/password/change": {"current_password": PASSWORD, "password": "x", "password_confirm": "x"},
    "POST /tracks/initiate": {"filename": "a.mp3", "total_chunks": 1, "total_size": 9},
    "POST /tracks/complete": {"upload_id": NOBODY}, "POST /tracks/batch/delete": {"track_ids": [NOBODY]},
    "POST /playlists": {"title": "Evening"}, "POST /marketplace/payouts": {"amount": 500},
    "POST /marketplace/products": {"title": "A lesson", "price": 9.99, "product_type": "service"},
    "POST /analytics/events": {"event_name": "x"},
    "POST /analytics/events/batch": {"events": [{"event_name": "x"}]},
    "PUT /notifications/preferences": {"preferences": {}},
    "POST /webhooks": {"url": "https://hooks.example/a", "events": ["track.liked"]},
    "PUT /users/{user_id}": {"bio": "Plays."}, "DELETE /users/{user_id}": {"password": PASSWORD},
    "POST /reports": {"target_type": "user", "target_id": "{user_id}", "reason": "spam"},
    "PUT /marketplace/products/{product_id}": {"description": "Else"},
    "POST /marketplace/orders": {"items": [{"product_id": "{product_id}"}]},
    "POST /marketplace/orders/{order_id}/services/{service_id}/deliver": {"note": "Here"},
    "POST /marketplace/orders/{order_id}/services/{service_id}/revision": {"reason": "Louder"},
    "PUT /webhooks/{webhook_id}": {"description": "Else"},
    "POST /webhooks/{webhook_id}/replay": {"since": "2025-01-01T00:00:00Z"},
}  # fmt: skip
# Whose body is a form, that lacks what it needs here.
FORMS = {"POST /tracks", "POST /tracks/chunk", "POST /uploads", "PUT /users/{user_id}/avatar"}
# It is known of exports.
WRITTEN_DOWN = {"GET /users/{user_id}/export"}
# After which the next one would find another scene.
SPOILING = {
    "DELETE /users/{user_id}", "POST /users/{user_id}/block",
    "POST /marketplace/orders/{order_id}/refund",
    "POST /marketplace/orders/{order_id}/services/{service_id}/deliver",
    "POST /marketplace/orders/{order_id}/services/{service_id}/revision",
    "POST /marketplace/orders/{order_id}/services/{service_id}/accept",
}  # fmt: skip
# After which whoever has asked is signed out.
ENDING = {"POST /sessions/logout", "POST /sessions/logout-all"}


def routes(world: World) -> Iterator[str]:
    """Everything that the router knows, the sockets too."""
    for route in world.app.app.routes:
        assert isinstance(route, HTTPRoute), "of a kind that no table is about"
        methods = {method for handler in route.route_handlers for method in handler.http_methods}
        yield from (f"{method} {route.path_format}" for method in methods - {"OPTIONS"})
    yield from (f"WS {path}" for path in world.app.sockets)


def rows(world: World) -> Iterator[str]:
    """What stands in a table, here or elsewhere."""
    base = "/playlists/{playlist_id}"
    api = [
        *(
            endpoint
            for table in (OPEN, SIGNED_IN, ON_USERS, ON_PRODUCTS, ON_ORDERS, ON_OWN)
            for endpoint in table
        ),
        *(endpoint for endpoint, _ in test_track_guard.rows()),
        *(endpoint.replace(" ", f" {base}", 1) for endpoint in test_playlists_guard.TABLE),
        *test_playlists_guard.BESIDE,
        *(endpoint for endpoint, _ in test_chat_guard.rows()),
        *(f"{method} {path}" for method, path in test_admin_guard.routes(world)),
        *(f"WS {path}" for path in SOCKETS),
    ]
    yield from (endpoint.replace(" ", " /api/v1", 1) for endpoint in api)
    yield from PAGES


class Scene:
    """Olga, who is another one each time, and all that is hers."""

    def __init__(self, world: World, cast: dict[str, Person], url: str) -> None:
        self.world = world
        self.cast = cast
        self.url = url
        self.turn = 0
        self.places: dict[str, str] = {"role_id": str(ROLE_IDS["admin"]), "token": "x"}

    async def fresh(self) -> Person:
        """Another Olga, who has blocked Bea."""
        self.turn += 1
        self.cast["olga"] = olga = await self.world.person(f"olga-{self.turn}")
        assert (await olga.post(f"/users/{self.cast['bea'].id}/block")).status_code == 200
        self.places |= {"user_id": olga.id, "username": olga.username}
        return olga

    async def set_user(self, state: str) -> None:
        olga = await self.fresh()
        if state == "suspended":
            path = f"/admin/users/{olga.id}/suspend"
            assert (await self.cast["adam"].post(path, json={"reason": "Spam"})).status_code == 200
        if state == "deleted":
            assert (await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})).status_code == 200

    async def set_product(self, state: str) -> None:
        """A track of Olga's, which Cleo has bought where it is no draft."""
        olga, cleo = await self.fresh(), self.cast["cleo"]
        more = {"status": "draft"} if state == "draft" else {}
        licence = "exclusive" if state == "sold" else "standard"
        product = (await offer_track(self.world, olga, license_type=licence, **more))["id"]
        if state != "draft":
            await bought(cleo, product)
        if state == "archived":
            path = f"/marketplace/products/{product}"
            assert (await olga.put(path, json={"status": "archived"})).status_code == 200
        self.places["product_id"] = product

    async def set_order(self, state: str) -> None:
        """A service of Olga's, which Cleo has ordered."""
        olga = await self.fresh()
        product = (await offer(olga))["id"]
        order = (await bought(self.cast["cleo"], product))["id"]
        if state == "delivered":
            path = f"/marketplace/orders/{order}/services/{product}/deliver"
            assert (await olga.post(path, json={"note": "Here"})).status_code == 200
        self.places |= {"order_id": order, "service_id": product}

    async def set_own(self, _state: str) -> None:
        olga, world = await self.fresh(), self.world
        login = {"email": f"{olga.username}@example.com", "password": PASSWORD}
        assert (await world.guest.post("/auth/login", json=login)).status_code == 200
        made = await hook(olga, self.url)
        assert (await self.cast["cleo"].post(f"/users/{olga.id}/follow")).status_code == 200
        event = UserFollowed(UUID(olga.id), UUID(self.cast["cleo"].id))
        async with world.parts.database.write() as tx:
            await hear(tx, world.parts.live, EventJob(new_id(), event.kind, to_builtins(event)))
        told = (await olga.get("/notifications")).json()["data"]["notifications"]
        sessions = (await olga.get("/sessions")).json()["data"]["sessions"]
        other = next(one["id"] for one in sessions if not one["current"])
        self.places |= {"webhook_id": made["id"], "notification_id": told[0]["id"], "session_id": other}
        self.places["delivery_id"] = NOBODY

    async def sign_in(self, name: str) -> None:
        """Somebody has been signed out."""
        login = {"email": f"{self.cast[name].username}@example.com", "password": PASSWORD}
        data = (await self.world.guest.post("/auth/login", json=login)).json()["data"]
        self.cast[name].client.headers["authorization"] = f"Bearer {data['token']['access_token']}"

    async def ask(self, name: str, endpoint: str) -> Answer:
        """What somebody is answered at an endpoint of this scene."""
        method, _, path = endpoint.partition(" ")
        headers: list[tuple[str, str]] = []
        if name != "guest":
            headers.append(("authorization", self.cast[name].client.headers["authorization"]))
        body = b""
        if endpoint in FORMS:
            body, typed = form([("not file", "x")])
            headers += typed.items()
        given = filled(BODIES.get(endpoint), self.places)
        where = f"/api/v1{filled(path, self.places)}"
        answer = await ask(self.world.app, method, where, *headers, body=body, json_body=given)
        if endpoint in ENDING and name != "guest":
            await self.sign_in(name)
        return answer


Setting = Callable[[str], Awaitable[None]]


async def differences(
    scene: Scene, table: Mapping[str, str], setting: Setting, states: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """The cells of a table whose answer is another; those that change nothing come first, to see that."""
    wrong = []
    for column, state in enumerate(states):
        await setting(state)
        cells = [
            (endpoint, name, words.split()[column][turn])
            for endpoint, words in table.items()
            for turn, name in enumerate(PEOPLE)
        ]
        before = await contents(scene.world.parts.database)
        for endpoint, name, letter in (cell for cell in cells if not changes(*cell)):
            wrong += differs(await scene.ask(name, endpoint), state, endpoint, name, letter)
        after = await contents(scene.world.parts.database)
        wrong += [(state, f"{name} changed") for name in after if after[name] != before[name]]
        for endpoint, name, letter in (cell for cell in cells if changes(*cell)):
            wrong += differs(await scene.ask(name, endpoint), state, endpoint, name, letter)
            if endpoint in SPOILING:
                await setting(state)
    return wrong


def changes(endpoint: str, _name: str, letter: str) -> bool:
    """Whether whoever gets this answer has changed something."""
    return letter in DONE and (not endpoint.startswith("GET ") or endpoint in WRITTEN_DOWN)


def differs(answer: Answer, *cell: str) -> Iterator[tuple[str, ...]]:
    """Whether an answer is not what the cell's letter, which comes last, stands for."""
    got = (answer.status, answer.error if answer.status >= 400 else "")
    if got != OUTCOMES[cell[-1]]:
        yield (*cell, *map(str, got))


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """D1, F4, G31, G33, K11, K13, K14, K15, N1, S1, U1, U7, W16: cell by cell.

    To be refused changes nothing, nor does to read.
    """
    choices = {"webhook_allow_private": True}
    async with open_world(database, tmp_path, **choices) as world, receiving() as receiver:
        with_rows, there = {anonymous(one) for one in rows(world)}, {anonymous(one) for one in routes(world)}
        assert with_rows == there, "each route has a row, and each row a route"
        cast = {name: await world.person(name, ROLES.get(name, "user")) for name in PEOPLE[1:]}
        scene = Scene(world, cast, receiver.url)
        wrong = []
        stateless = {endpoint: letter * len(PEOPLE) for endpoint, letter in OPEN.items()}
        stateless |= {endpoint: "u" + letter * (len(PEOPLE) - 1) for endpoint, letter in SIGNED_IN.items()}
        wrong += await differences(scene, stateless, scene.set_user, ("there",))
        for path, status in PAGES.items():
            method, _, page = path.partition(" ")
            answer = await ask(world.app, method, page.replace("{token}", "x"))
            wrong += [(path, str(answer.status))] if answer.status != status else []
        wrong += await differences(scene, ON_USERS, scene.set_user, ("there", "suspended", "deleted"))
        wrong += await differences(
            scene, ON_PRODUCTS, scene.set_product, ("on sale", "draft", "archived", "sold")
        )
        wrong += await differences(scene, ON_ORDERS, scene.set_order, ("ordered", "delivered"))
        wrong += await differences(scene, ON_OWN, scene.set_own, ("",))
        wrong += await _sockets(scene)
    assert wrong == [], "\n".join(map(str, wrong))


async def _sockets(scene: Scene) -> list[tuple[str, ...]]:
    wrong = []
    for path, words in SOCKETS.items():
        for name, letter in zip(PEOPLE, words, strict=True):
            code = await knock(scene.world, path, await ticket(scene, name))
            if code != (0 if letter == "o" else SIGNED_OUT):
                wrong.append((path, name, letter, str(code)))
        await scene.set_user("there")
        late = await ticket(scene, "olga")
        with clock.shifted(timedelta(seconds=61)):
            wrong += [(path, "late")] if await knock(scene.world, path, late) != SIGNED_OUT else []
        once = await ticket(scene, "olga")
        codes = [await knock(scene.world, path, once) for _ in range(2)]
        wrong += [(path, "twice", str(codes))] if codes != [0, SIGNED_OUT] else []
        kept = await ticket(scene, "olga")
        await scene.cast["adam"].post(
            f"/admin/users/{scene.places['user_id']}/suspend", json={"reason": "Spam"}
        )
        wrong += [(path, "suspended")] if await knock(scene.world, path, kept) != SIGNED_OUT else []
    return wrong


async def ticket(scene: Scene, name: str) -> str:
    """A token that opens one socket; a guest is given none."""
    answer = await scene.ask(name, "GET /chat/token")
    return "" if answer.status == 401 else str(re.search(rb'"token":"([^"]+)"', answer.body)[1].decode())


async def knock(world: World, path: str, token: str) -> int:
    """The code by which a socket is closed from inside; 0 for one that stays open until its client leaves."""
    wire, coming = FakeWire(), [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        assert message["type"] == "websocket.accept"

    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws",
        "path": f"/api/v1{path}", "raw_path": f"/api/v1{path}".encode(), "root_path": "",
        "query_string": f"token={token}".encode(), "headers": [(b"host", b"veza.test")],
        "client": ("203.0.113.7", 1), "server": ("veza.test", 80), "subprotocols": [], "state": {},
        "extensions": {WIRE: wire},
    }  # fmt: skip
    await world.app(scope, receive, send)
    return wire.code


async def test_an_id_has_one_spelling(database: Database, tmp_path: Path) -> None:
    """G15: its hyphens left out, in braces, as an URN: 400 wherever the path or the query names it."""
    async with open_world(database, tmp_path) as world:
        adam = await world.person("adam", "admin")
        spellings = [NOBODY.replace("-", ""), "{%s}" % NOBODY, f"urn:uuid:{NOBODY}"]  # noqa: UP031 - braces
        refused = [
            f"GET /{path}" for path in ("tracks?user_id=", "audit/logs?user_id=", "audit/logs?target_id=")
        ]
        for route in world.app.app.routes:
            path = route.path_format.removeprefix("/api/v1")
            if isinstance(route, HTTPRoute) and "_id}" in path:
                methods = {method for one in route.route_handlers for method in one.http_methods}
                refused += [f"{method} {path}" for method in sorted(methods - {"OPTIONS"})]
        assert len(refused) > 100
        for number, endpoint in enumerate(refused):
            method, _, path = endpoint.partition(" ")
            spelt = spellings[number % 3]
            asked = re.sub(r"{\w+_id}", spelt, path) + (spelt if path.endswith("=") else "")
            answer = await getattr(adam, method.lower())(asked)
            assert answer.status_code == 400, endpoint
            assert "_id" in answer.json()["error"]["details"][0]["field"], endpoint

"""Schemathesis before the whole server: all operations of the document, with what schemas allow and forbid.

The server is the real one with its sockets, in a thread of this process. Who asks is an admin, so that
nothing is out of reach, and another one as soon as they have signed out or deleted their account.
"""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import schemathesis
import uvloop
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from tests.quick import CheapHasher
from tests.world import PASSWORD
from veza.app import make_app, make_means, openapi_document
from veza.core.db import open_database
from veza.core.errors import InvalidToken
from veza.core.events import Context
from veza.core.server import serve_async
from veza.parts import Parts, make_parts
from veza.rooms.accounts.admin import create_user
from veza.rooms.sessions import login
from veza.rooms.sessions.schemas import Credentials
from veza.settings import Settings

T = TypeVar("T")
WAIT = 60.0
DONE = range(200, 300)
# Which are not asked: their answer goes on while somebody listens, and the library waits for its end.
ENDLESS = ("/api/v1/events",)
# No check is turned off; but two say something only of a request that goes on from another, in the stateful
# phase: what was made is there, and what was deleted is not. A schema cannot say that two passwords are the
# same, or that a title is to be read: so a body that fits may still be refused for its sense. That it is
# never refused for what a schema can say is held by a check of our own, below.
GOOD = ["2xx", 401, 403, 404, 409, 422]
BAD = [400, 401, 403, 404, 405, 406, 409, 414, 415, 422, 428, 429, 431, "5xx"]
CHECKS: dict[str, Any] = {
    "positive_data_acceptance": {"expected-statuses": GOOD},
    "negative_data_rejection": {"expected-statuses": BAD},
}
# With which status a request that fits its schema may be refused all the same, and why; each by itself.
REFUSED = {
    (400, "a token that nobody was sent"): ("POST /auth/verify-email", "POST /auth/password/reset"),
    (400, "a place that no page before has named"): ("GET /feed",),
    (400, "words with signs that no word has, formats that there are not, and ends before beginnings"): (
        "GET /tracks", "GET /tracks/search", "GET /marketplace/products", "GET /marketplace/statement",
    ),
    (400, "times that are none or end before they begin, addresses that are none, pages that lie too deep"): (
        "GET /audit/logs", "GET /audit/export", "GET /admin/audit/logs", "GET /admin/audit/export",
    ),
    (400, "time zones that there are not, days that are none or end before they begin"): (
        "GET /analytics/tracks/{track_id}", "GET /analytics/tracks/{track_id}/export", "GET /admin/analytics",
        "GET /analytics/artists/{user_id}", "GET /analytics/artists/{user_id}/export",
    ),
    (400, "words with signs that no word has"): (
        "GET /admin/users", "GET /admin/jobs/dead", "GET /search", "GET /playlists/search",
        "GET /chat/rooms/{room_id}/search",
    ),
    (400, "what was said before one message, and after another"): ("GET /chat/rooms/{room_id}/messages",),
    (413, "more bytes than anybody may store"): ("POST /tracks/initiate",),
    (400, "what Stripe has not signed"): ("POST /payments/stripe/webhook",),
    (429, "another password where too many were wrong"): ("POST /auth/login",),
}  # fmt: skip
# A resource that was just made answers 404 in a path below it.
AVAILABLE = "ensure_resource_availability"
# What bodies name as well, and what it is called in paths.
NAMED = {
    b'"UPLOAD_NOT_FOUND"': "{upload_id}",
    b'"USER_NOT_FOUND"': "{user_id}",
    b'"TRACK_NOT_FOUND"': "{track_id}",
    b'"COLLABORATOR_NOT_FOUND"': "{user_id}",
}
# What a value is called invalid for that a schema can tell; all other reasons are in its sense.
TOLD = re.compile(r"(Expected `?\w|Object contains unknown|Object missing)")


@schemathesis.check
def refused_for_its_sense(_context: Any, response: Any, case: Any) -> bool | None:
    """Nothing that fits its schema is refused for a field that lacks, is unknown or of another type."""
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return None
    for detail in response.json()["error"]["details"]:
        assert detail.get("code") != "UNKNOWN_FIELD", detail
        assert not TOLD.match(detail["message"]), detail
    return None


def _named_by_body(label: str, asked: Any) -> bool:
    """Whether what is not there is something that the body names, and no resource of the path."""
    if asked is None or asked.response is None:
        return False
    return any(code in asked.response.content and parameter not in label for code, parameter in NAMED.items())


def _before(recorder: Any, case_id: str) -> Iterator[Any]:
    """The requests that led to this one, were done, and were about the same thing or what it is in."""
    case = recorder.cases[case_id].value
    while (parent := recorder.find_parent(case_id=case_id)) is not None:
        case_id, answer = parent.id, recorder.find_response(case_id=parent.id)
        same = (parent.path_parameters or {}).items() <= (case.path_parameters or {}).items()
        if same and case.path.startswith(parent.path) and answer is not None and answer.status_code in DONE:
            yield parent


@dataclass
class Outcome:
    """How many requests were made, and answered how; what was wrong, by operation and check.

    ``followed`` counts those about what a request before had made, changed or deleted, by the method of that.
    """

    requests: Counter[str] = field(default_factory=Counter)
    followed: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All requests."""
        return self.requests.total()

    @property
    def told(self) -> str:
        """What was wrong, to be read."""
        return "\n".join(f"{label}: {check}: {text}" for (label, check), text in self.failures.items())

    def take(self, event: events.EngineEvent) -> None:
        """Note what an event of the engine tells."""
        if isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            for case_id, one in recorder.interactions.items():
                self.requests[recorder.cases[case_id].value.operation.label] += 1
                self.statuses[one.response.status_code if one.response else 0] += 1
                self.followed.update({led.operation.method.upper() for led in _before(recorder, case_id)})
            for case_id, checks in recorder.checks.items():
                label = recorder.cases[case_id].value.operation.label
                for check in checks:
                    if check.name == AVAILABLE and _named_by_body(label, recorder.interactions.get(case_id)):
                        continue
                    if check.status is Status.FAILURE and check.failure_info is not None:
                        told = check.failure_info
                        self.failures.setdefault((label, check.name), f"{told.failure}\n{told.code_sample}")
        elif isinstance(event, events.NonFatalError):
            self.failures.setdefault((event.label, "error"), f"{event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception


class House:
    """The server, and whoever asks it."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.loop = uvloop.new_event_loop()
        self.url = ""
        self.people = 0
        self._token = ""

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done where the server runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)

    def token(self) -> str:
        """Of an admin who is signed in."""
        return self.call(self._alive())

    async def _alive(self) -> str:
        try:
            await self.parts.authenticator.authenticate(self._token)
        except InvalidToken:
            self._token = await self._sign_in()
        return self._token

    async def _sign_in(self) -> str:
        self.people += 1
        name, parts = f"admin-{self.people}", self.parts
        address = f"{name}@example.com"
        await create_user(
            parts.database, parts.hasher, username=name, email=address, password=PASSWORD, admin=True
        )
        found = await login.log_in(
            make_means(parts), Credentials(address, PASSWORD), Context(None, "127.0.0.1", "fuzzing", "")
        )
        assert isinstance(found.token, msgspec.Struct)
        return found.token.access_token


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[House]:
    """The server on a database at the newest schema, until the block ends."""
    settings = Settings(data_dir=folder, rate_limit_enabled=False)
    made = make_parts(settings, database=open_database(database_url))
    house = House(msgspec.structs.replace(made, hasher=CheapHasher()))
    up, stop = threading.Event(), asyncio.Event()

    def ready(host: str, port: int) -> None:
        house.url = f"http://{host}:{port}"
        up.set()

    async def serve() -> None:
        app = make_app(house.parts, work=False)
        await serve_async(app, port=0, ready=ready, stop=stop, signals=False, drain_seconds=1)

    thread = threading.Thread(target=house.loop.run_until_complete, args=[serve()])
    thread.start()
    assert up.wait(WAIT)
    try:
        yield house
    finally:
        house.loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT)
        house.loop.close()


ALL = ("examples", "coverage", "fuzzing", "stateful")


def fuzz(
    house: House,
    *,
    seed: int,
    examples: int,
    phases: tuple[str, ...] = ALL,
    paths: Callable[[list[str]], list[str]] = list,
) -> Outcome:
    """Ask at random, so often about each operation, in these phases; ``paths`` chooses among all."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed, "base-url": house.url, "continue-on-failure": True, "cache": {"enabled": False},
            "suppress-health-check": ["all"], "request-timeout": WAIT, "checks": CHECKS,
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "phases": {"enabled": False, **{name: {"enabled": True} for name in phases}},
            "operations": [
                {
                    "include-name": name.replace(" ", " /api/v1", 1),
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*GOOD, status]}},
                }
                for (status, _), names in REFUSED.items()
                for name in names
            ],
        }
    )  # fmt: skip
    document = openapi_document(house.parts)
    chosen = paths([path for path in document["paths"] if path not in ENDLESS])
    document["paths"] = {path: document["paths"][path] for path in chosen}
    schema = schemathesis.openapi.from_dict(document, config=config)

    @schema.auth(refresh_interval=None, retry_on=[])
    class _SignedIn:
        def get(self, _case: Any, _context: Any) -> str:
            return house.token()

        def set(self, case: Any, token: str, _context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {token}"

    outcome = Outcome()
    for event in from_schema(schema).execute():
        outcome.take(event)
    return outcome

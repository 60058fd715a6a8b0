"""The rooms of accounts and roles behind the real edge, with everything around them in memory or a folder.

Signing in is not theirs to do: here a bearer token is simply the id of a user.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from litestar import Litestar, Router
from litestar.di import Provide

from tests.quick import QuickClient
from veza.access.actor import GUEST, Actor, Member
from veza.core import clock
from veza.core.db import Database, Statement, Tx
from veza.core.edge import Edge, EdgeConfig
from veza.core.errors import Detail, InvalidToken, NotFound, Unauthenticated, Unavailable, ValidationFailed
from veza.core.events import Context, Outbox, events
from veza.core.exchange import Exchange
from veza.core.http import JSON_BYTES, AnyRequest, StrictJSON, on_error
from veza.core.ids import new_id
from veza.core.jobs import Job, jobs
from veza.core.limits import Limiter, PersonalLimit, parse_limit
from veza.core.mail import Mail
from veza.core.parameters import parse_id
from veza.core.storage import LocalStorage
from veza.rooms.accounts import deletion, pages, routes, service, store
from veza.rooms.accounts.avatars import Avatars
from veza.rooms.accounts.config import AccountsConfig
from veza.rooms.accounts.events import CHANGED
from veza.rooms.accounts.exporting import Exports
from veza.rooms.accounts.holdings import Holding
from veza.rooms.accounts.jobs import AccountJobs
from veza.rooms.accounts.pictures import PictureIntake
from veza.rooms.accounts.store import User
from veza.rooms.accounts.tables import users
from veza.rooms.roles import routes as roles

BASE_URL = "https://veza.example"
PASSWORD = "seven purple lanterns"
ROLES = {"admin": "admin", "mod": "moderator"}

_JOBS = Statement(sa.select(*(jobs.c[name] for name in Job.__struct_fields__)).order_by(jobs.c.id), Job)
_STRIKE: Statement[None] = Statement(sa.delete(jobs).where(jobs.c.id == sa.bindparam("job_id")))
_SUSPEND: Statement[None] = Statement(
    sa.update(users).where(users.c.id == sa.bindparam("of_user")).values(suspended_at=sa.bindparam("at"))
)
_KINDS = Statement(sa.select(events.c.kind).order_by(events.c.id), str)


class Postbox:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[tuple[UUID, Mail]] = []

    async def send(self, mail: Mail, *, key: UUID) -> None:
        self.mails.append((key, mail))

    def token(self) -> str:
        """The token in the last mail's link."""
        return self.mails[-1][1].text.partition("?token=")[2].split()[0]


async def no_picture(*_: object) -> bytes:
    """Nobody here has uploaded a picture before."""
    raise NotFound


class House:
    """The rooms, whoever lives there, and what they are answered."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.storage = LocalStorage(folder)
        self.postbox = Postbox()
        self.proved: list[UUID] = []
        self.erased: list[UUID] = []
        self.stuck = False
        self.limiter = Limiter()
        self.people: dict[str, User] = {}
        self.jobs = AccountJobs(database, self.storage, self.postbox, BASE_URL)
        database.record_events = Outbox({})
        holdings = [deletion.HOLDING, Holding("songs", self._export, self._erase)]
        exports_limit = PersonalLimit(self.limiter, parse_limit("export", "30/hour"))
        self.given = {
            "accounts": AccountsConfig(BASE_URL, parse_limit("verification", "3/hour")),
            "avatars": Avatars(database, self.storage, PictureIntake(self.storage.scratch, no_picture)),
            "database": database,
            "exports": Exports(database, self.storage.scratch, holdings, exports_limit),
            "holdings": holdings,
            "limiter": self.limiter,
            "prove_password": self._prove,
        }
        transport = httpx.ASGITransport(_served(self))
        self.client = QuickClient(transport=transport, base_url=f"{BASE_URL}/api/v1", timeout=30)

    async def move_in(self, *names: str) -> None:
        """Make an account for each name; `admin` and `mod` have those roles."""
        for name in names:
            async with self.database.write() as tx:
                self.people[name] = await service.create_user(
                    tx,
                    username=f"{name}-person",
                    email=f"{name}@example.com",
                    password_hash="never checked here",
                    role=ROLES.get(name, "user"),
                )
        await self.drop_jobs()

    async def suspend(self, name: str) -> None:
        async with self.database.write() as tx:
            await tx.run(_SUSPEND, of_user=self.id(name), at=clock.now())
            tx.notify(CHANGED)

    def id(self, name: str) -> UUID:
        return self.people[name].id

    async def ask(self, who: str, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request as `who`; names in braces in the path stand for ids."""
        headers = dict(request.pop("headers", {}))
        if who != "guest":
            headers["authorization"] = f"Bearer {self.id(who)}"
        path = path.format(**{name: user.id for name, user in self.people.items()})
        return await self.client.request(method, path, headers=headers, **request)

    async def profile(self, viewer: str, of: str) -> dict[str, Any]:
        answer = await self.ask(viewer, "GET", f"/users/{{{of}}}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()["data"]["profile"]
        return found

    async def work(self) -> int:
        """Do every job there is, once; how many there were."""
        async with self.database.read() as view:
            found = await view.all(_JOBS)
        tasks = {task.kind.name: task for task in self.jobs.tasks()}
        for job in found:
            task = tasks[job.kind]
            await task.run(job, msgspec.json.decode(job.payload, type=task.kind.payload))
        await self.drop_jobs(found)
        return len(found)

    async def drop_jobs(self, these: list[Job] | None = None) -> None:
        async with self.database.write() as tx:
            for job in await tx.all(_JOBS) if these is None else these:
                await tx.run(_STRIKE, job_id=job.id)

    async def events(self) -> list[str]:
        """What happened so far, by kind."""
        async with self.database.read() as view:
            return await view.all(_KINDS)

    def files(self) -> list[str]:
        """The keys of all avatars in the storage."""
        root = self.storage.local_path("avatars")
        assert root is not None
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    async def _prove(self, user_id: UUID, password: str, origin: Context) -> None:
        assert origin.actor_id == user_id
        if password != PASSWORD:
            raise ValidationFailed(
                details=[Detail("password", "This is not your password.", "WRONG_PASSWORD")]
            )
        self.proved.append(user_id)

    async def _export(self, tx: Tx, user_id: UUID) -> Any:
        user = await store.find(tx, user_id)
        assert user is not None
        return [f"A song of {user.username}"]

    async def _erase(self, tx: Tx, user_id: UUID) -> None:
        assert await store.find(tx, user_id)
        if self.stuck:
            raise Unavailable
        self.erased.append(user_id)


def _served(house: House) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        scope["house"] = house
        await _edge()(scope, receive, send)

    return serve


@cache
def _edge() -> Edge:
    """The application, made once for all houses: each request says in which one it is."""
    parts = ("accounts", "avatars", "database", "exports", "holdings", "limiter", "prove_password")
    app = Litestar(
        [Router("/api/v1", route_handlers=[*routes.ROUTES, *roles.ROUTES], dto=StrictJSON), *pages.PAGES],
        dependencies={
            **{name: Provide(_given(name), sync_to_thread=False) for name in parts},
            "exchange": Provide(_exchange, sync_to_thread=False),
            "viewer": Provide(_viewer),
            "actor": Provide(_actor),
            "tx": Provide(_tx, sync_to_thread=False),
        },
        exception_handlers={Exception: on_error},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=JSON_BYTES,
    )
    return Edge(app, EdgeConfig(None, parse_limit("global", "100/min"), lambda _: True))


def _given(name: str) -> Any:
    def find(request: AnyRequest) -> Any:
        return _house(request).given[name]

    return find


def _house(request: AnyRequest) -> House:
    return request.scope["house"]  # type: ignore[typeddict-item, no-any-return]  # ours


def _exchange(request: AnyRequest) -> Exchange:
    return request.scope["veza"]  # type: ignore[typeddict-item, no-any-return]  # ours


async def _viewer(request: AnyRequest) -> Actor:
    token = _exchange(request).bearer()
    if token is None:
        return GUEST
    async with _house(request).database.read() as view:
        user = await store.find(view, parse_id(token))
    if user is None:
        raise InvalidToken
    return Member(id=user.id, session_id=new_id(), username=user.username, role=user.role)


async def _actor(request: AnyRequest) -> Member:
    actor = await _viewer(request)
    if not isinstance(actor, Member):
        raise Unauthenticated
    return actor


def _tx(request: AnyRequest) -> Tx:
    exchange, database = _exchange(request), _house(request).database
    if exchange.tx is None:
        exchange.tx = database.read() if request.method == "GET" else database.write()
    return exchange.tx


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    """A house in which ann and ben live, and an admin and a moderator."""
    made = House(database, tmp_path / "files")
    await made.move_in("ann", "ben", "admin", "mod")
    async with made.client:
        yield made


def days(count: float) -> Any:
    """Within this block it is so many days later."""
    return clock.shifted(timedelta(days=count))

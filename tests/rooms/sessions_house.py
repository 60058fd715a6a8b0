"""The room of sessions behind the real edge: people made by the real services, cheap password hashes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pyotp
import pytest
import sqlalchemy as sa
from litestar import Litestar, Request, Router
from litestar.di import Provide

from tests.quick import CheapHasher, QuickClient
from veza.access.actor import Member
from veza.access.secrets import Keyring, new_secret
from veza.access.tokens import Tokens
from veza.core import clock
from veza.core.backoff import Backoff
from veza.core.db import Database, Statement, Tx
from veza.core.edge import Edge, EdgeConfig
from veza.core.errors import Unauthenticated
from veza.core.events import Context, Outbox, events
from veza.core.exchange import Exchange
from veza.core.given import given, given_to
from veza.core.http import JSON_BYTES, StrictJSON, on_error
from veza.core.jobs import Job, jobs
from veza.core.limits import Limit, Limiter, parse_limit
from veza.core.mail import Mail
from veza.core.postage import Postage
from veza.reactions import REACTIONS
from veza.rooms.accounts import service as accounts
from veza.rooms.accounts.events import CHANGED
from veza.rooms.accounts.store import User
from veza.rooms.accounts.tables import users
from veza.rooms.sessions import grants, proofs_store
from veza.rooms.sessions import jobs as session_jobs
from veza.rooms.sessions.attempts import Attempts
from veza.rooms.sessions.authenticator import Authenticator
from veza.rooms.sessions.hot import ROUTE, HotLogin
from veza.rooms.sessions.means import Means
from veza.rooms.sessions.proofs_store import Account
from veza.rooms.sessions.routes import ROUTES
from veza.rooms.sessions.tables import recovery_codes, refresh_tokens, sessions

BASE_URL = "https://veza.example"
PASSWORD = "seven purple lanterns"
NEW_PASSWORD = "eleven quiet harbours"

SECRET = new_secret()
_SECRETS = Keyring([SECRET.encode()])
_JOBS = Statement(sa.select(*(jobs.c[name] for name in Job.__struct_fields__)).order_by(jobs.c.id), Job)
_STRIKE: Statement[None] = Statement(sa.delete(jobs).where(jobs.c.id == sa.bindparam("job_id")))


class Happened(msgspec.Struct):
    kind: str
    data: Any


class Dumped(msgspec.Struct):
    digest: bytes
    nonce: bytes


_EVENTS = Statement(sa.select(events.c.kind, events.c.data).order_by(events.c.id), Happened)
_SESSIONS = Statement(sa.select(sa.func.count()).select_from(sessions), int)
_TOKENS = Statement(sa.select(sa.func.count()).select_from(refresh_tokens), int)
_SUSPEND: Statement[None] = Statement(
    sa.update(users).where(users.c.id == sa.bindparam("user_id")).values(suspended_at=sa.bindparam("at"))
)
_DELETE: Statement[None] = Statement(sa.delete(users).where(users.c.id == sa.bindparam("user_id")))
_SET_ROLE: Statement[None] = Statement(
    sa.update(users).where(users.c.id == sa.bindparam("user_id")).values(role=sa.bindparam("role"))
)
_CODES = Statement(sa.select(recovery_codes.c.digest), bytes)
_DUMP = Statement(sa.select(refresh_tokens.c.digest, refresh_tokens.c.nonce), Dumped)


class Postbox:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail, *, key: UUID) -> None:
        self.mails.append(mail)

    def token(self) -> str:
        """The token in the last mail's link."""
        return self.mails[-1].text.partition("?token=")[2].split()[0]


class Client:
    """Somebody's program: where it calls from, and the tokens it holds."""

    def __init__(self, house: "House", ip: str = "192.0.2.1", user_agent: str = "test/1") -> None:
        self.house = house
        self.user_agent = user_agent
        self.access = self.refresh_token = ""
        self.http = QuickClient(transport=house.way_from(ip), base_url=f"{BASE_URL}/api/v1", timeout=30)

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"user-agent": self.user_agent, **request.pop("headers", {})}
        if self.access:
            headers.setdefault("authorization", f"Bearer {self.access}")
        return await self.http.request(method, path, headers=headers, **request)

    async def get(self, path: str) -> httpx.Response:
        return await self.ask("GET", path)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.ask("POST", path, json=body)

    async def me(self) -> int:
        """The status of asking who one is."""
        return (await self.get("/auth/me")).status_code

    async def register(self, name: str, password: str = PASSWORD, **changes: Any) -> httpx.Response:
        form = {"username": name, "email": f"{name}@example.com", "password": password}
        return self._keep(
            await self.post("/auth/register", **(form | {"password_confirm": password} | changes))
        )

    async def log_in(self, name: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        body = {"email": f"{name}@example.com", "password": password}
        return self._keep(await self.post("/auth/login", **body, **more))

    async def refresh(self, token: str | None = None) -> httpx.Response:
        """Refresh by what this client holds, and hold the answer; by another token, hold nothing."""
        answer = await self.post("/auth/refresh", refresh_token=token or self.refresh_token)
        return self._keep(answer) if token is None else answer

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        data = answer.json().get("data", {})
        pair = data.get("token", data)
        if answer.is_success and "access_token" in pair:
            self.access, self.refresh_token = pair["access_token"], pair["refresh_token"]
        return answer


class House:
    """The room, and what can be seen of it from behind."""

    def __init__(self, database: Database, per_address: Limit | None = None) -> None:
        self.database = database
        database.record_events = Outbox(REACTIONS)
        self.keyring = _SECRETS
        self.tokens = Tokens(self.keyring)
        self.hasher = CheapHasher()
        self.limiter = Limiter()
        self.authenticator = Authenticator(database, self.tokens)
        self.postbox = Postbox()
        self.means = Means(
            database=database,
            hasher=self.hasher,
            tokens=self.tokens,
            keyring=self.keyring,
            authenticator=self.authenticator,
            attempts=Attempts(database, self.limiter, Backoff("password"), Backoff("code")),
            limiter=self.limiter,
            per_address=per_address,
            mail_limit=parse_limit("reset", "3/hour"),
            greeting_limit=parse_limit("greeting", "3/hour"),
        )
        self.tasks = session_jobs.tasks(database, self.postbox, BASE_URL, Postage(self.limiter))
        config = EdgeConfig(None, parse_limit("global", "100/min"), lambda _: True)
        self.edge = Edge(_routes(), config, {"house": self, "means": self.means})
        self.edge.hot_posts = {ROUTE: HotLogin(self.means, self.edge.ready).log_in}

    def client(self, ip: str = "192.0.2.1", user_agent: str = "test/1") -> Client:
        return Client(self, ip, user_agent)

    def way_from(self, ip: str) -> httpx.AsyncBaseTransport:
        """How whoever is at this address reaches the room."""
        return httpx.ASGITransport(self.edge, client=(ip, 1234))

    async def move_in(self, name: str, role: str = "user", *, confirmed: bool = False) -> User:
        """Make an account without signing in; with its address ``confirmed``, or not yet."""
        password_hash = await self.hasher.hash(PASSWORD)
        async with self.database.write() as tx:
            return await accounts.create_user(
                tx,
                username=name,
                email=f"{name}@example.com",
                password_hash=password_hash,
                role=role,
                email_verified=confirmed,
            )

    async def suspend(self, user_id: UUID) -> None:
        async with self.database.write() as tx:
            await tx.run(_SUSPEND, user_id=user_id, at=clock.now())
            tx.notify(CHANGED)

    async def delete(self, user_id: UUID) -> None:
        async with self.database.write() as tx:
            await tx.run(_DELETE, user_id=user_id)
            tx.notify(CHANGED)

    async def set_role(self, user_id: UUID, role: str) -> None:
        async with self.database.write() as tx:
            await tx.run(_SET_ROLE, user_id=user_id, role=role)
            tx.notify(CHANGED)

    async def work(self) -> None:
        """Do every job of this room that there is, once."""
        known = {task.kind.name: task for task in self.tasks}
        async with self.database.read() as view:
            found = await view.all(_JOBS)
        for job in found:
            if task := known.get(job.kind):
                await task.run(job, msgspec.json.decode(job.payload, type=task.kind.payload))
        async with self.database.write() as tx:
            for job in found:
                await tx.run(_STRIKE, job_id=job.id)

    async def happened(self, *kinds: str) -> list[Happened]:
        """The events of these kinds, or all."""
        async with self.database.read() as view:
            return [event for event in await view.all(_EVENTS) if not kinds or event.kind in kinds]

    async def count(self) -> tuple[int, int]:
        """How many rows there are of sessions and of refresh tokens."""
        async with self.database.read() as view:
            return await view.first(_SESSIONS) or 0, await view.first(_TOKENS) or 0

    async def account(self, user_id: UUID | str) -> Account:
        async with self.database.read() as view:
            return await proofs_store.require(view, UUID(str(user_id)))

    async def password_hash(self, user_id: UUID) -> str:
        return (await self.account(user_id)).password_hash

    async def set_password(self, user_id: UUID | str, password: str) -> None:
        account, new = await self.account(user_id), await self.hasher.hash(password)
        async with self.database.write() as tx:
            assert await proofs_store.set_password(tx, account.id, old=account.password_hash, new=new)

    async def recovery_digests(self) -> list[bytes]:
        async with self.database.read() as view:
            return await view.all(_CODES)

    async def jobs(self) -> list[Job]:
        async with self.database.read() as view:
            return await view.all(_JOBS)

    async def dump(self) -> list[Dumped]:
        """The refresh tokens as they are kept."""
        async with self.database.read() as view:
            return await view.all(_DUMP)

    async def open_session(self, user: User, **more: Any) -> str:
        """A session without a login; its refresh token."""
        origin = more.pop("origin", None) or Context()
        async with self.database.write() as tx:
            _, pair = await grants.open_session(tx, self.means, user.id, user.role, origin, **more)
        return pair.refresh_token

    async def renew(self, tx: Tx, refresh_token: str) -> str:
        pair = await grants.renew(tx, self.means, refresh_token)
        assert pair is not None
        return pair.refresh_token

    async def actor(self, exchange: Exchange) -> Member:
        token = exchange.bearer()
        if not token:
            raise Unauthenticated
        exchange.actor = await self.authenticator.authenticate(token)
        found: Member = exchange.actor
        return found


@cache
def _routes() -> Litestar:
    """Made once for all houses: each request says in which one it is."""
    return Litestar(
        [Router("/api/v1", route_handlers=ROUTES, dto=StrictJSON)],
        dependencies={
            "means": given("means"),
            "exchange": Provide(_exchange, sync_to_thread=False),
            "actor": Provide(_actor),
            "tx": Provide(_tx, sync_to_thread=False),
        },
        exception_handlers={Exception: on_error},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=JSON_BYTES,
    )


def _exchange(request: Request[Any, Any, Any]) -> Exchange:
    return request.scope["veza"]  # type: ignore[typeddict-item, no-any-return]  # ours


def _house(request: Request[Any, Any, Any]) -> House:
    found: House = given_to(request)["house"]
    return found


async def _actor(request: Request[Any, Any, Any]) -> Member:
    return await _house(request).actor(_exchange(request))


def _tx(request: Request[Any, Any, Any]) -> Tx:
    exchange, database = _exchange(request), _house(request).database
    if exchange.tx is None:
        exchange.tx = database.read() if request.method == "GET" else database.write()
    return exchange.tx


def code_of(answer: httpx.Response) -> str:
    """The code of an error."""
    return str(answer.json()["error"]["code"])


def detail_of(answer: httpx.Response) -> tuple[str, str]:
    """The first detail of an error: which field, and what is wrong with it."""
    detail = answer.json()["error"]["details"][0]
    return detail["field"], detail["code"]


Opening = Callable[[Database, Limit | None], AbstractAsyncContextManager[House]]
# What opens houses instead: with `--cluster` the room is many processes (tests/cluster/spread_house.py).
elsewhere: list[Opening] = []


def open_house(database: Database, per_address: Limit | None = None) -> AbstractAsyncContextManager[House]:
    """A house; ``per_address`` limits logins and registrations."""
    opening = elsewhere[-1] if elsewhere else _open_here
    return opening(database, per_address)


@asynccontextmanager
async def _open_here(database: Database, per_address: Limit | None) -> AsyncIterator[House]:
    made = House(database, per_address)
    try:
        yield made
    finally:
        made.hasher.close()


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    """A house without limits on addresses."""
    async with open_house(database) as made:
        yield made


def totp_code(secret: str, steps: int = 0) -> str:
    """What the app shows now, or so many steps later."""
    return str(pyotp.TOTP(secret).at(clock.now() + timedelta(seconds=30 * steps)))

"""A mail server that says nothing: mails wait for it, and nothing else does."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from tests.core.jobs_house import until
from tests.docs.pages import job_kinds
from tests.world import open_world
from veza import app
from veza.app import working
from veza.core import job_lanes
from veza.core.db import Database
from veza.core.jobs import JobKind, enqueue
from veza.core.mail import Mail
from veza.parts import Parts
from veza.reactions import CLOSING
from veza.rooms.sessions.jobs import SEND_RESET, SendReset

PENDING = 20


class Silent:
    """A mailer whose server never answers."""

    def __init__(self) -> None:
        self.held = 0

    async def send(self, mail: Mail, *, key: UUID) -> None:
        self.held += 1
        await asyncio.Event().wait()


class Slow:
    """A mailer whose server takes its time, and every mail."""

    def __init__(self) -> None:
        self.begun, self.taken = asyncio.Event(), 0

    async def send(self, mail: Mail, *, key: UUID) -> None:
        self.begun.set()
        await asyncio.sleep(0.2)
        self.taken += 1


async def test_a_mail_that_is_being_sent_at_a_stop_is_sent_once(database: Database, tmp_path: Path) -> None:
    """X13, X15: its server takes it whether it is waited for or not, and would be given it again."""
    post = Slow()
    async with open_world(database, tmp_path) as world:
        await world.person("ada")
        async with database.write() as tx:
            await enqueue(tx, SEND_RESET, SendReset("ada@example.com"))
        async with working(msgspec.structs.replace(world.parts, mailer=post)):
            await asyncio.wait_for(post.begun.wait(), 30)
        assert post.taken == 1
        assert (SEND_RESET.name,) not in await database.rows("SELECT kind FROM jobs")


async def test_a_mail_server_that_hangs_holds_up_no_other_work(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X15, H4: what a suspended user had on show goes at once, however many mails were queued before."""
    monkeypatch.setattr(app, "MAIL_PARTING", 0.1)
    post, awaited = Silent(), {kind.name for kind in CLOSING}

    async def queued() -> list[str]:
        return [kind for (kind,) in await database.rows("SELECT kind FROM jobs")]

    async def closed() -> bool:
        return post.held == 8 and not awaited & set(await queued())

    async with open_world(database, tmp_path) as world:
        await world.person("ada")
        bob, boss = await world.person("bob"), await world.person("boss", "admin")
        async with database.write() as tx:
            for _ in range(PENDING):
                await enqueue(tx, SEND_RESET, SendReset("ada@example.com"))
        answer = await boss.post(f"/admin/users/{bob.id}/suspend", json={"reason": "Sells what is not his."})
        assert answer.is_success
        assert awaited <= set(await queued())
        async with working(msgspec.structs.replace(world.parts, mailer=post)):
            await until(closed)
        assert (await queued()).count(SEND_RESET.name) == PENDING


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("run", [partial(app._running, work=True), app.working_alone], ids=["serve", "work"])
async def test_mails_that_an_older_process_queues_are_sent(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Parts], AbstractAsyncContextManager[None]],
) -> None:
    """X10: it puts them where nobody looks for mails any more."""
    monkeypatch.setattr(job_lanes, "LANES_SECONDS", 0.01)
    older = JobKind(SEND_RESET.name, SendReset)

    async def sent() -> bool:
        return (SEND_RESET.name,) not in await database.rows("SELECT kind FROM jobs")

    async with open_world(database, tmp_path) as world, run(world.parts):
        async with database.write() as tx:
            await enqueue(tx, older, SendReset("nobody@example.com"))
        await until(sent)


def test_every_mail_is_in_a_lane_of_mails() -> None:
    lanes = {kind.lane for kind in job_kinds() if ".send_" in kind.name}
    assert lanes == {"mail", "bulk_mail"}

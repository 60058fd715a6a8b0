"""A mail server that says nothing: mails wait for it, and nothing else does."""

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec

from tests.core.jobs_house import until
from tests.docs.pages import job_kinds
from tests.world import open_world
from veza.app import working
from veza.core.db import Database
from veza.core.jobs import enqueue
from veza.core.mail import Mail
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


async def test_a_mail_server_that_hangs_holds_up_no_other_work(database: Database, tmp_path: Path) -> None:
    """X15, H4: what a suspended user had on show goes at once, however many mails were queued before."""
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


def test_every_mail_is_in_a_lane_of_mails() -> None:
    lanes = {kind.lane for kind in job_kinds() if ".send_" in kind.name}
    assert lanes == {"mail", "bulk_mail"}

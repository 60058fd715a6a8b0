"""What admins do to accounts and jobs, and what they see of the whole."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from tests.rooms.tracks_house import BYTES, NOBODY, code, plant
from tests.world import JSON, PASSWORD, World, open_world
from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.jobs import JobKind, enqueue, jobs
from veza.core.worker import Task, Worker


async def page(person: Any, path: str, name: str) -> list[JSON]:
    answer = await person.get(path)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert data["pagination"]["total"] >= len(data[name])
    return list(data[name])


async def test_somebody_is_suspended_and_restored(database: Database, tmp_path: Path) -> None:
    """H4, A18: out at once and for good, not there for others; back when it is over, by signing in anew."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        mona, boss = await world.person("mona", "moderator"), await world.person("boss", "admin")
        at, reason = f"/admin/users/{bob.id}", {"reason": "Sells what is not his."}
        for person, said in ((ada, (403, "FORBIDDEN")), (mona, (403, "FORBIDDEN"))):
            assert code(await person.post(f"{at}/suspend", json=reason)) == said
        assert code(await boss.post(f"{at}/suspend", json={})) == (422, "VALIDATION_ERROR")
        assert code(await boss.post(f"/admin/users/{NOBODY}/suspend", json=reason)) == (404, "USER_NOT_FOUND")
        assert code(await boss.post(f"/admin/users/{boss.id}/suspend", json=reason)) == (403, "FORBIDDEN")

        for _ in range(2):
            user = (await boss.post(f"{at}/suspend", json=reason)).json()["data"]["user"]
            assert (user["suspended_at"] is None, user["suspended_reason"]) == (False, reason["reason"])
        assert code(await bob.get("/auth/me")) == (401, "INVALID_TOKEN")
        login = {"email": "bob@example.com", "password": PASSWORD}
        assert code(await world.guest.post("/auth/login", json=login)) == (403, "ACCOUNT_SUSPENDED")
        renew = {"refresh_token": bob.refresh_token}
        assert code(await world.guest.post("/auth/refresh", json=renew)) == (401, "INVALID_TOKEN")
        assert code(await ada.get(f"/users/{bob.id}")) == (404, "USER_NOT_FOUND")
        assert (await boss.get(f"/users/{bob.id}")).is_success
        assert (await ada.get("/search?q=bob&type=users")).json()["data"]["users"] == []

        for _ in range(2):
            user = (await boss.post(f"{at}/restore")).json()["data"]["user"]
            assert (user["suspended_at"], user["suspended_reason"]) == (None, None)
        assert code(await bob.get("/auth/me")) == (401, "INVALID_TOKEN"), "those sessions are over"
        assert (await world.guest.post("/auth/login", json=login)).is_success
        assert (await ada.get(f"/users/{bob.id}")).is_success
        assert len((await ada.get("/search?q=bob&type=users")).json()["data"]["users"]) == 1
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'user.%' ORDER BY id")
        assert [kind for (kind,) in kinds if kind in {"user.suspended", "user.restored"}] == [
            "user.suspended", "user.restored",
        ]  # fmt: skip


async def test_the_last_admin_stays(database: Database, tmp_path: Path) -> None:
    """N9: a suspended admin is none, and of the others one is left."""
    async with open_world(database, tmp_path) as world:
        boss, chief = await world.person("boss", "admin"), await world.person("chief", "admin")
        assert (await boss.post(f"/admin/users/{chief.id}/suspend", json={"reason": "Away"})).is_success
        assert code(await boss.put(f"/admin/users/{boss.id}/role", json={"role": "user"})) == (
            409,
            "LAST_ADMIN",
        )


async def test_users_are_found(database: Database, tmp_path: Path) -> None:
    """By the beginning of a name or an address, by role, by state; nothing in a question is a pattern."""
    async with open_world(database, tmp_path) as world:
        boss = await world.person("boss", "admin")
        people = {name: await world.person(name) for name in ("ada", "adam", "bob_a")}
        await boss.post(f"/admin/users/{people['adam'].id}/suspend", json={"reason": "Spam"})
        for query, names in {
            "": ["ada", "adam", "bob_a", "boss"],
            "q=AD": ["ada", "adam"],
            "q=adam@example": ["adam"],
            "q=bob_": ["bob_a"],
            "q=%25": [],
            "role=admin": ["boss"],
            "status=suspended": ["adam"],
            "q=ad&status=active&role=user": ["ada"],
            "limit=1&page=2": ["adam"],
        }.items():
            found = await page(boss, f"/admin/users?{query}", "users")
            assert [user["username"] for user in found] == names, query
        assert code(await boss.get("/admin/users?status=asleep")) == (400, "INVALID_REQUEST")


class Told(msgspec.Struct, frozen=True):
    number: int


FRAGILE = JobKind("test.fragile", Told, attempts=1)


async def work(
    world: World,
    *,
    well: bool,
    kind: JobKind[Told] = FRAGILE,
    error: Exception = ValueError("it is broken"),  # noqa: B008 - never changed
) -> list[int]:
    """Try every job of this kind that is due, once; what was done."""
    done: list[int] = []

    async def run(_job: object, told: Told) -> None:
        if not well:
            raise error
        done.append(told.number)

    worker = Worker(world.parts.database, "default", [Task(kind, run)], concurrency=4)
    while await worker._claim() == 0:
        import asyncio  # noqa: PLC0415 - one use

        await asyncio.gather(*worker._running)
    return sorted(done)


async def test_dead_jobs_are_tried_again_or_discarded(database: Database, tmp_path: Path) -> None:
    """X15: how much waits is seen, and what fails; one is tried again, or all of a kind."""
    async with open_world(database, tmp_path) as world:
        boss = await world.person("boss", "admin")
        async with database.write() as tx:
            for number in range(4):
                await enqueue(tx, FRAGILE, Told(number))
            await enqueue(tx, FRAGILE, Told(9), delay=timedelta(hours=1))
        seen = (await boss.get("/admin/jobs")).json()["data"]
        (lane,) = [lane for lane in seen["lanes"] if lane["lane"] == "default"]
        assert (lane["waiting"] >= 5, lane["due"] >= 4, lane["dead"]) == (True, True, 0)
        assert await work(world, well=False) == []
        seen = (await boss.get("/admin/jobs")).json()["data"]
        why = "ValueError: it is broken"
        assert {"kind": "test.fragile", "retrying": 0, "dead": 4, "error": why} in seen["failing"]
        dead = await page(boss, "/admin/jobs/dead?kind=test.fragile&limit=3", "jobs")
        assert [(job["error"], job["attempt"]) for job in dead] == [("ValueError: it is broken", 1)] * 3
        assert await page(boss, "/admin/jobs/dead?kind=no.such", "jobs") == []

        assert (await boss.post(f"/admin/jobs/{dead[0]['id']}/retry")).is_success
        assert len(await work(world, well=True)) == 1
        assert (await boss.delete(f"/admin/jobs/{dead[1]['id']}")).is_success
        for gone in (dead[0]["id"], dead[1]["id"], NOBODY):
            assert code(await boss.post(f"/admin/jobs/{gone}/retry")) == (404, "JOB_NOT_FOUND")
            assert code(await boss.delete(f"/admin/jobs/{gone}")) == (404, "JOB_NOT_FOUND")
        async with database.write() as tx:
            await tx.run(Statement(sa.update(jobs).values(away_since=clock.now())))
        answer = await boss.post("/admin/jobs/retry", json={"kind": "test.fragile"})
        assert answer.json()["data"] == {"retried": 2}
        again = sa.select(jobs.c.away_since).where(jobs.c.kind == "test.fragile", jobs.c.attempt == 0)
        async with database.read() as view:
            assert None in await view.all(Statement(again, datetime))
        assert len(await work(world, well=True)) == 2
        assert await page(boss, "/admin/jobs/dead", "jobs") == []
        with clock.shifted(timedelta(hours=2)):
            assert await work(world, well=True) == [9]


async def test_what_is_stored(database: Database, tmp_path: Path) -> None:
    """Summed over everybody; and who stores most."""
    async with open_world(database, tmp_path) as world:
        ada, boss = await world.person("ada"), await world.person("boss", "admin")
        for status in ("ready", "ready", "processing"):
            await plant(world, ada, status)
        seen = (await boss.get("/admin/storage")).json()["data"]
        assert (seen["users"], seen["used"]) == (2, 3 * len(BYTES))
        assert seen["tracks"] == [
            {"status": "processing", "tracks": 1, "bytes": len(BYTES)},
            {"status": "ready", "tracks": 2, "bytes": 2 * len(BYTES)},
        ]
        first = seen["largest"][0]
        assert (first["username"], first["storage_used"]) == ("ada", 3 * len(BYTES))

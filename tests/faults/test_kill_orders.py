"""A shop on a real server that is killed all the time: what was acknowledged is there, and all of it."""

import asyncio
import itertools
import os
import random
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.faults.test_kill import PASSWORD, nursery
from veza.core.db import open_database
from veza.rooms.marketplace import ledger

KILLS, BUYERS, THINGS = 6, 3, 60
BUSY = ("IDEMPOTENCY_IN_PROGRESS", "SERVICE_UNAVAILABLE", "DB_BUSY")


class Customer:
    """Somebody who repeats whatever is not answered, always with the same key."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self.http, self.name = http, name
        self.token = ""
        self._numbers = itertools.count()

    async def ask(self, method: str, path: str, json: Any = None, key: str = "") -> httpx.Response:
        headers = {"Idempotency-Key": key or f"{self.name}-{next(self._numbers)}"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        while True:
            try:
                answer = await self.http.request(method, path, json=json, headers=headers)
            except (httpx.HTTPError, AttributeError):  # the latter when the server dies just as it accepts
                await asyncio.sleep(0.01)
                continue
            if any(code in answer.text for code in BUSY):
                await asyncio.sleep(0.01)
                continue
            return answer

    async def sign_up(self) -> None:
        account = {"email": f"{self.name}@example.com", "password": PASSWORD}
        more = {"username": self.name, "password_confirm": PASSWORD}
        answer = await self.ask("POST", "/auth/register", account | more)
        if answer.status_code == 409:  # it was made, and its answer came too late
            answer = await self.ask("POST", "/auth/login", account)
        self.token = answer.json()["data"]["token"]["access_token"]


async def prove(folder: Path) -> int:
    """What a server that is dead has left behind is right, to the cent; how many orders there are."""
    database = open_database(f"sqlite:///{folder / 'data' / 'veza.db'}")
    async with database.read() as view:
        assert (await ledger.prove(view)).holds
    [(kept,)] = await database.rows("SELECT COUNT(*) FROM orders")
    sold_twice = "FROM order_items WHERE license_type = 'exclusive' AND sold_at IS NOT NULL"
    assert not await database.rows(
        f"SELECT product_id {sold_twice} AND refunded_at IS NULL GROUP BY product_id HAVING COUNT(*) > 1"
    )
    await database.close()
    return int(kept)


async def test_orders_are_whole_whenever_the_server_is_killed(tmp_path: Path) -> None:
    """K5, K17, X14: an order is completed just if its licences and its rows of the ledger are there."""
    dice = random.Random(int.from_bytes(os.urandom(2)))
    told: dict[str, bytes] = {}
    async with nursery(tmp_path) as servers:
        await servers.start()
        await servers.ready()
        async with httpx.AsyncClient(base_url=f"{servers.address}/api/v1", timeout=5) as http:
            seller, *buyers = [Customer(http, f"person{n}") for n in range(BUYERS + 1)]
            for customer in (seller, *buyers):
                await customer.sign_up()
            ids = []
            for n in range(THINGS):
                kind = "exclusive" if n % 3 == 0 else "standard"
                body = {
                    "title": f"Thing {n}",
                    "price": n + 0.37,
                    "product_type": "service",
                    "license_type": kind,
                }
                made = await seller.ask("POST", "/marketplace/products", body)
                ids.append(made.json()["data"]["id"])
            stopped = asyncio.Event()

            async def shop(buyer: Customer) -> None:
                for number in itertools.count():
                    if stopped.is_set():
                        return
                    items = [{"product_id": one} for one in dice.sample(ids, dice.randrange(1, 4))]
                    key = f"{buyer.name}-order-{number}"
                    answer = await buyer.ask("POST", "/marketplace/orders", {"items": items}, key)
                    assert answer.status_code in {201, 409}, answer.text
                    if answer.status_code == 201:
                        told[key] = answer.content
                        again = await buyer.ask("POST", "/marketplace/orders", {"items": items}, key)
                        assert again.content == answer.content
                        order = answer.json()["data"]["id"]
                        for item in items[:1]:
                            path = f"/marketplace/orders/{order}/services/{item['product_id']}"
                            done = await seller.ask("POST", f"{path}/deliver", {"note": "Here"})
                            assert done.status_code == 200, done.text
                            done = await buyer.ask("POST", f"{path}/accept")
                            assert done.status_code in {200, 409}, done.text
                        paid = await seller.ask("POST", "/marketplace/payouts", {})
                        assert paid.status_code in {201, 409}, paid.text
                        # Others are to have their turn again with what was exclusive.
                        back = await seller.ask("POST", f"/marketplace/orders/{order}/refund")
                        assert back.status_code in {200, 409}, back.text
                        for item in items:
                            status = {"status": "active", "price": dice.randrange(10_000) / 100}
                            await seller.ask("PUT", f"/marketplace/products/{item['product_id']}", status)

            async with asyncio.TaskGroup() as group:
                for buyer in buyers:
                    group.create_task(shop(buyer))
                for _ in range(KILLS):
                    await asyncio.sleep(dice.uniform(0.1, 0.5))
                    await servers.end(signal.SIGKILL)
                    await prove(tmp_path)
                    await servers.start()
                    await servers.ready()
                stopped.set()
        await servers.end(signal.SIGTERM)
    assert await prove(tmp_path) == len(told) > 0
    assert b"request.crashed" not in (tmp_path / "log").read_bytes()

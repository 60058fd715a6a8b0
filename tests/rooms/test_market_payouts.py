"""Sellers' money: what they have, where it came from, how it goes out; true to the ledger, to the cent."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, bought, offer, offer_track, prove
from tests.rooms.test_market_services import path_of
from tests.rooms.tracks_house import NOBODY, code
from tests.world import Person, open_world
from veza.core.db import Database
from veza.rooms.marketplace import statements
from veza.rooms.marketplace.sales_store import MICROS_OF_A_DAY

PAYOUTS, STATEMENT = "/marketplace/payouts", "/marketplace/statement"


async def have(person: Person, currency: str = "EUR") -> tuple[float, float, float]:
    """What somebody has: available, pending, requested."""
    found = (await person.get(f"/marketplace/balance?currency={currency}")).json()["data"]
    assert found["currency"] == currency
    return found["available"], found["pending"], found["requested"]


async def test_what_sellers_have_is_paid_once(database: Database, tmp_path: Path) -> None:
    """K14, K17, G29: fifty ask at once and get no more than there is; what fails comes back."""
    async with open_world(database, tmp_path, platform_fee=1_000, payout_minimum=500) as world:
        olga, bob, adam = [
            await world.person(name, "admin" if name == "adam" else "user")
            for name in ("olga", "bob", "adam")
        ]
        song, mix = await offer_track(world, olga, price=100), await offer(olga, price=50)
        dollars = await offer_track(world, olga, price=4, currency="USD")
        await bought(bob, song["id"])
        order = await bought(bob, mix["id"])
        await bought(bob, dollars["id"])
        assert (await have(olga), await have(olga, "USD"), await have(bob)) == (
            (90, 45, 0), (3.6, 0, 0), (0, 0, 0),
        )  # fmt: skip
        for body, status in (
            ({"amount": 90.01}, 409), ({"amount": 4.99}, 409), ({"amount": -1}, 422), ({"amount": "9"}, 422),
            ({"currency": "USD"}, 409), ({"currency": "XXX"}, 422), ({"amount": 7.001}, 422),
            ({"amount": 9, "status": "paid"}, 422),
        ):  # fmt: skip
            answer = await olga.post(PAYOUTS, json=body)
            assert answer.status_code == status, (body, answer.text)
        assert code(await bob.post(PAYOUTS, json={})) == (409, "PAYOUT_TOO_SMALL")
        assert code(await world.guest.post(PAYOUTS, json={})) == (401, "UNAUTHENTICATED")
        answers = await asyncio.gather(*(olga.post(PAYOUTS, json={"amount": 20}) for _ in range(50)))
        assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 46
        assert {code(a) for a in answers if a.status_code == 409} == {(409, "INSUFFICIENT_BALANCE")}
        assert await have(olga) == (10, 45, 80)
        await prove(world)
        key = {"Idempotency-Key": "rest"}
        rest = [await olga.post(PAYOUTS, json={}, headers=key) for _ in range(2)]
        assert rest[0].json() == rest[1].json()
        assert (rest[0].json()["data"]["amount"], await have(olga)) == (10, (0, 45, 90))
        asked = (await olga.get(PAYOUTS)).json()
        assert ([one["amount"] for one in asked["data"]], asked["pagination"]["total"]) == (
            [10, 20, 20, 20, 20], 5,
        )  # fmt: skip
        assert (await bob.get(PAYOUTS)).json()["data"] == []
        open_ = (await adam.get("/admin/payouts")).json()["data"]
        assert open_ == asked["data"]
        for person in (olga, bob):
            assert code(await person.get("/admin/payouts")) == (403, "FORBIDDEN")
            one = await person.put(f"/admin/payouts/{open_[0]['id']}", json={"status": "paid"})
            assert code(one) == (403, "FORBIDDEN")
        paid, failed = [f"/admin/payouts/{one['id']}" for one in open_[:2]]
        assert code(await adam.put(paid, json={"status": "requested"})) == (422, "VALIDATION_ERROR")
        missing = await adam.put(f"/admin/payouts/{NOBODY}", json={"status": "paid"})
        assert code(missing) == (404, "PAYOUT_NOT_FOUND")
        both: list[Any] = [adam.put(paid, json={"status": "paid", "note": f"Transfer {n}"}) for n in range(5)]
        done = [(await one).json()["data"] for one in both]
        assert {(one["status"], one["note"]) for one in done} == {("paid", "Transfer 0")}
        assert code(await adam.put(paid, json={"status": "failed"})) == (409, "PAYOUT_SETTLED")
        mixed = await asyncio.gather(
            *(adam.put(failed, json={"status": "failed", "note": "No such account"}) for _ in range(5))
        )
        assert {answer.status_code for answer in mixed} == {200}
        assert await have(olga) == (20, 45, 60)
        # What is refunded after it was paid out is owed.
        await olga.post(path_of(order, "/deliver"), json={"note": "Here"})
        await bob.post(path_of(order, "/accept"))
        assert await have(olga) == (65, 0, 60)
        everything = (await olga.get("/marketplace/sales")).json()["data"]
        assert everything["balance"] == {"EUR": 65, "USD": 3.6}
        await olga.post(PAYOUTS, json={})
        songs = (await olga.get("/marketplace/sales/orders")).json()["data"]
        first = next(one for one in songs if one["items"][0]["product_id"] == song["id"])
        assert (await olga.post(f"{ORDERS}/{first['id']}/refund")).status_code == 200
        assert await have(olga) == (-90, 0, 125)
        assert code(await olga.post(PAYOUTS, json={})) == (409, "PAYOUT_TOO_SMALL")
        export = (await olga.get(f"/users/{olga.id}/export")).json()["data"]["marketplace"]
        assert [len(export[name]) for name in ("payouts", "services", "delivered")] == [6, 1, 1]
        await prove(world)
        kinds = await database.rows(
            "SELECT kind, COUNT(*) FROM events WHERE kind LIKE 'payout.%' GROUP BY kind"
        )
        assert dict(kinds) == {"payout.requested": 6, "payout.settled": 2}


async def test_a_statement_tells_of_every_cent(database: Database, tmp_path: Path, monkeypatch: Any) -> None:
    """K8, K14, Y5: lines and what there was after each, in pages and as a CSV; sums as those of sales."""
    monkeypatch.setattr(statements, "_PIECE", 2)
    async with open_world(database, tmp_path, platform_fee=333, payout_minimum=1) as world:
        olga, bob, adam = [
            await world.person(name, "admin" if name == "adam" else "user")
            for name in ("olga", "bob", "adam")
        ]
        titles = ("=1+1", 'A "b", c', "\uff20x", "- d", "Plain")
        things = [
            await offer_track(world, olga, title=title, price=n + 0.37, currency="USD" if n == 1 else "EUR")
            for n, title in enumerate(titles)
        ]
        orders = [await bought(bob, thing["id"]) for thing in things]
        mix = await offer(olga, title="Mix", price=12)
        service = await bought(bob, mix["id"])
        await olga.post(path_of(service, "/deliver"), json={"note": "Here"})
        early = "UPDATE {} SET {} = {} - " + str(40 * MICROS_OF_A_DAY)
        await database.script(early.format("ledger", "created_at", "created_at"))
        await bob.post(path_of(service, "/accept"))
        await olga.post(f"{ORDERS}/{orders[4]['id']}/refund")
        payout = (await olga.post(PAYOUTS, json={"amount": 5})).json()["data"]
        await adam.put(f"/admin/payouts/{payout['id']}", json={"status": "failed"})
        found = (await olga.get(STATEMENT)).json()
        seen = ("kind", "title", "gross", "fee", "net")
        assert [tuple(one[name] for name in seen) for one in found["data"]] == [
            ("release", "Mix", 12, 0.4, 11.6), ("refund", "Plain", -4.37, -0.15, -4.22),
            ("payout", "", -5, 0, -5), ("failed", "", 5, 0, 5),
        ]  # fmt: skip
        assert [one["payout_id"] is None for one in found["data"]] == [True, True, False, False]
        available, pending, requested = await have(olga)
        assert (found["data"][-1]["balance"], pending, requested) == (available, 0, 0)
        start = f"start_date={(datetime.now(UTC) - timedelta(days=60)).date()}"
        whole = (await olga.get(f"{STATEMENT}?{start}")).json()
        assert (len(whole["data"]), whole["pagination"]["total"]) == (9, 9)
        running: dict[str, Decimal] = {}
        for one in whole["data"]:
            exact = {name: Decimal(str(one[name])) for name in ("gross", "fee", "net", "balance")}
            assert exact["gross"] - exact["fee"] == exact["net"]
            running[one["currency"]] = running.get(one["currency"], Decimal()) + exact["net"]
            assert running[one["currency"]] == exact["balance"]
        pages = [
            (await olga.get(f"{STATEMENT}?{start}&limit=4&page={n}")).json()["data"] for n in (1, 2, 3, 4)
        ]
        assert [line for page in pages for line in page] == whole["data"]
        answer = await olga.get(f"{STATEMENT}?{start}&format=csv")
        assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.content.count(b"\r\n") == 10
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [row["balance"] for row in rows] == [f"{one['balance']:.2f}" for one in whole["data"]]
        assert [row["title"] for row in rows[:5]] == [
            "'=1+1",
            things[1]["title"],
            "'\uff20x",
            "'- d",
            "Plain",
        ]
        assert (rows[0]["gross"], rows[6]["net"], rows[7]["payout_id"]) == ("0.37", "-4.22", payout["id"])
        assert all(person.id not in answer.text for person in (bob, adam))
        # Sums of sales are those of the ledger.
        sums = (await olga.get("/marketplace/sales")).json()["data"]
        euros = next(total for total in sums["totals"] if total["currency"] == "EUR")
        assert (euros["sales"], euros["refunds"], euros["refunded"]) == (4, 1, 4.37)
        assert sums["balance"] == {name: float(amount) for name, amount in running.items()}
        assert round(euros["net"], 2) == available
        points = [point for point in sums["series"] if point["currency"] == "EUR"]
        for name in ("sales", "gross", "net", "refunds", "refunded"):
            assert round(sum(point[name] for point in points), 2) == euros[name], name
        assert [product["title"] for product in sums["top_products"]][:2] == ["Mix", "- d"]
        assert (await bob.get(f"{STATEMENT}?{start}")).json()["data"] == []
        for query in (
            "start_date=2026-02-02&end_date=2026-02-01", "start_date=2020-01-01&end_date=2021-01-01",
            "start_date=x", "format=xml", "end_date=2026-02-30",
        ):  # fmt: skip
            assert code(await olga.get(f"{STATEMENT}?{query}")) == (400, "INVALID_REQUEST"), query
        for query in ("end_date=0001-01-01", "start_date=9999-12-31&end_date=9999-12-31"):
            assert (await olga.get(f"{STATEMENT}?{query}")).json()["data"] == [], query
        assert code(await world.guest.get(STATEMENT)) == (401, "UNAUTHENTICATED")
        assert await rows_of(world, "payouts") == {"payouts": 1}
        await prove(world)

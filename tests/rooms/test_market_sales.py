"""What a seller sees of sales, and what a buyer is sent."""

from pathlib import Path

import pytest

from tests.rooms.listening_house import until
from tests.rooms.market_house import ORDERS, bought, offer_track
from tests.rooms.tracks_house import code
from tests.world import open_world
from veza.core.db import Database
from veza.rooms.marketplace.sales_store import MICROS_OF_A_DAY


@pytest.mark.usefixtures("still")  # also at midnight
async def test_what_was_sold(database: Database, tmp_path: Path) -> None:
    """K14, Y5: sums of days and of all, by currency, what was refunded apart; one's own alone."""
    async with open_world(database, tmp_path, platform_fee=1_000) as world:
        olga, bob, eve = [await world.person(name) for name in ("olga", "bob", "eve")]
        one = await offer_track(world, olga, price=10, title="One")
        two = await offer_track(world, olga, price=20.50, title="Two")
        dollars = await offer_track(world, olga, price=3, currency="USD", title="Three")
        await bought(bob, one["id"], two["id"])
        await database.script(f"UPDATE order_items SET sold_at = sold_at - {3 * MICROS_OF_A_DAY}")
        await bought(eve, one["id"])
        await bought(bob, dollars["id"])
        order = await bought(eve, two["id"])
        assert (await olga.post(f"{ORDERS}/{order['id']}/refund")).status_code == 200
        found = (await olga.get("/marketplace/sales?days=7")).json()["data"]
        assert found["totals"] == [
            {
                "currency": "EUR",
                "sales": 3,
                "gross": 40.5,
                "fees": 4.05,
                "net": 36.45,
                "refunds": 1,
                "refunded": 20.5,
            },
            {"currency": "USD", "sales": 1, "gross": 3, "fees": 0.3, "net": 2.7, "refunds": 0, "refunded": 0},
        ]
        points = [point for point in found["series"] if point["currency"] == "EUR"]
        assert [(point["sales"], point["gross"]) for point in points] == [
            (0, 0), (0, 0), (0, 0), (2, 30.5), (0, 0), (0, 0), (1, 10),
        ]  # fmt: skip
        top = [(product["title"], product["sales"], product["gross"]) for product in found["top_products"]]
        assert top == [("Two", 1, 20.5), ("One", 2, 20), ("Three", 1, 3)]
        assert found["balance"] == {"EUR": 36.45, "USD": 2.7}
        assert all(person.id not in str(found) for person in (bob, eve))
        late = (await olga.get("/marketplace/sales?days=2")).json()["data"]
        assert [(total["currency"], total["sales"]) for total in late["totals"]] == [("EUR", 1), ("USD", 1)]
        assert (await bob.get("/marketplace/sales")).json()["data"]["totals"] == []
        for query in ("days=0", "days=367", "days=x"):
            assert code(await olga.get(f"/marketplace/sales?{query}")) == (400, "INVALID_REQUEST")
        assert code(await world.guest.get("/marketplace/sales")) == (401, "UNAUTHENTICATED")


async def test_a_buyer_is_sent_a_receipt(database: Database, tmp_path: Path) -> None:
    """K14: what was bought and what was given back; a title cannot begin a paragraph of ours."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        one = await offer_track(world, olga, title="<b>Blue</b>", price=1234.5)
        two = await offer_track(world, olga, title="A thing", price=0.05)
        order = await bought(bob, one["id"], two["id"])
        folder = world.parts.settings.mail_folder

        async def sent(count: int) -> list[str]:
            mails = [path.read_text() for path in sorted(folder.glob("*.eml"))] if folder.is_dir() else []
            mails = [mail for mail in mails if "To: bob@example.com" in mail]
            return mails if len(mails) >= count else []

        await until(lambda: sent(1))
        [receipt] = await sent(1)
        assert "Subject: Your order of 1234.55 EUR" in receipt
        for words in ("<b>Blue</b>: 1234.50 EUR", "&lt;b&gt;Blue", "A thing: 0.05 EUR", order["id"]):
            assert words in receipt, receipt
        assert (await olga.post(f"{ORDERS}/{order['id']}/refund")).status_code == 200
        await until(lambda: sent(2))
        assert "Subject: A refund of 1234.55 EUR" in (await sent(2))[1]

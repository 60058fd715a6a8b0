"""What cheating sellers try, what is raced with what, and what is asked for a thousand times."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.rooms.listening_house import until
from tests.rooms.market_house import ORDERS, PRODUCTS, buy, listed, offer, offer_track
from tests.rooms.payments_house import open_shop
from tests.rooms.test_reports import report, resolve
from tests.rooms.tracks_house import code, plant
from tests.world import Person, open_world
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.jobs import Job
from veza.reactions import tasks
from veza.rooms.accounts.events import UserSuspended
from veza.rooms.marketplace import reconciling, words_store
from veza.rooms.marketplace.kinds import CLOSE_USER
from veza.rooms.marketplace.payment_kinds import PAY_SELLERS, AskPayment, PaySellers


async def test_what_is_withheld_is_not_sold(database: Database, tmp_path: Path) -> None:
    """K10, K12, T1: neither again nor anew, by itself or in a pack, until it is shown again."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        mona = await world.person("mona", "moderator")
        track = await plant(world, ada)
        product = await offer_track(world, ada, track)
        made = (await report(bob, "track", track)).json()["data"]["report"]["id"]
        assert (await resolve(mona, made, "remove", note="Stolen")).is_success
        path, again = f"{PRODUCTS}/{product['id']}", {"status": "active"}
        assert code(await ada.put(path, json=again)) == (409, "PRODUCT_NOT_AVAILABLE")
        new = {"title": "A", "price": 1, "product_type": "pack", "track_ids": [track], "status": "draft"}
        assert code(await ada.post(PRODUCTS, json=new)) == (409, "TRACK_NOT_READY")
        assert await listed(bob) == []
        assert (await mona.post(f"/admin/reports/{made}/revoke")).is_success
        assert (await ada.put(path, json=again)).status_code == 200
        assert await listed(bob) == [product["id"]]


async def _upload(person: Person) -> str:
    answer = await person.post("/uploads", files={"file": ("notes.txt", b"hello")})
    upload = str(answer.json()["data"]["upload_id"])

    async def ready() -> bool:
        found = await person.get(f"/uploads/{upload}/status")
        return bool(found.json()["data"]["status"] == "completed")

    await until(ready)
    return upload


async def test_what_a_pack_is_of_is_sold_once_and_there(database: Database, tmp_path: Path) -> None:
    """K5, K10, K18: an exclusive upload is in one pack alone; what is deleted meanwhile is not on sale."""
    async with open_world(database, tmp_path, work=True) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        upload = await _upload(ada)
        pack = {"title": "A", "price": 1, "product_type": "pack", "upload_ids": [upload]}
        only = {**pack, "license_type": "exclusive"}
        answers = await asyncio.gather(*(ada.post(PRODUCTS, json=only) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
        assert code(await ada.post(PRODUCTS, json=pack)) == (409, "TRACK_ALREADY_FOR_SALE")
        (first,) = await listed(bob)
        await ada.put(f"{PRODUCTS}/{first}", json={"status": "archived"})
        for _ in range(2):
            assert (await ada.post(PRODUCTS, json=pack)).status_code == 201, "any number, none exclusive"
        again = await ada.put(f"{PRODUCTS}/{first}", json={"status": "active"})
        assert code(again) == (409, "TRACK_ALREADY_FOR_SALE")
        await ada.delete(f"/uploads/{upload}")
        assert await listed(bob) == []
        for _ in range(5):
            one = await _upload(ada)
            body = {**pack, "upload_ids": [one]}
            made, _ = await asyncio.gather(ada.post(PRODUCTS, json=body), ada.delete(f"/uploads/{one}"))
            assert made.status_code in {201, 404}
        assert await listed(bob) == [], "nobody pays for what is gone"


async def test_what_failed_is_not_taken_back_from_the_next(database: Database, tmp_path: Path) -> None:
    """K15, K17: a share that could not be handed over is handed over anew without what was refunded."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        account = await shop.connect(olga)
        mix, song = await offer(olga, price=20), await offer_track(shop.world, olga, price=10)
        order = await shop.order(bob, mix["id"], song["id"])
        path = f"{ORDERS}/{order['id']}"
        assert (await olga.post(f"{path}/services/{mix['id']}/deliver", json={"note": "Here"})).is_success
        assert (await bob.post(f"{path}/services/{mix['id']}/accept")).is_success
        shop.stripe.down = True
        await shop.work()
        assert (await olga.post(f"{path}/refund")).json()["data"]["status"] == "partially_refunded"
        await shop.work()
        assert {"marketplace.pay_sellers", "marketplace.take_back"} <= set(shop.put_off)
        shop.stripe.down = False
        shop.stripe.set_transfers(account, "inactive")
        pay = shop.tasks[PAY_SELLERS.name]
        await pay.run(Job(new_id(), PAY_SELLERS.name, "{}", 1, clock.now()), PaySellers(UUID(order["id"])))
        assert shop.stripe.list("transfer") == []
        shop.stripe.set_transfers(account)
        await shop.deliver()
        await shop.again()
        (handed,) = shop.stripe.list("transfer")
        assert (handed["amount"], handed["amount_reversed"]) == (1_800, 0)
        await shop.prove()


async def test_whoever_is_suspended_sells_nothing_from_then_on(database: Database, tmp_path: Path) -> None:
    """K2, K19: also before a job has said so with each product; what was paid for since is paid back."""
    async with open_shop(database, tmp_path) as shop:
        olga, stan, bob, adam = [
            await shop.person(name, "admin" if name == "adam" else "user")
            for name in ("olga", "stan", "bob", "adam")
        ]
        things = [await offer_track(shop.world, olga, price=price) for price in (0, 5, 6, 7)]
        free, one, two, kept = [thing["id"] for thing in things]
        other = (await offer_track(shop.world, stan, price=1))["id"]
        mix = (await offer(olga, price=20))["id"]
        await shop.connect(olga)
        done, work = await shop.order(bob, kept), await shop.order(bob, mix)
        service = f"{ORDERS}/{work['id']}/services/{mix}"
        assert (await olga.post(f"{service}/deliver", json={"note": "Here"})).is_success
        late, again = [await shop.order(bob, *cart, pay=False) for cart in ((one, other), (two,))]
        assert (await adam.post(f"/admin/users/{olga.id}/suspend", json={"reason": "Theft"})).is_success
        assert await listed(bob, f"?seller_id={olga.id}") != [], "no job was done yet"
        for cart in ((free,), (free, other), (two,)):
            assert code(await buy(bob, *cart)) == (409, "PRODUCT_NOT_AVAILABLE")
        shop.stripe.pay(shop.session(late))
        outcomes = await shop.outcomes(late)
        async with database.write() as tx:
            await reconciling.follow(tx, AskPayment(outcomes[0][0]), outcomes[0][1])
        assert (await shop.see(bob, late))["status"] == "cancelled"
        await shop.deliver()
        assert shop.charge(late)["refunded"]
        assert await listed(bob, f"?seller_id={olga.id}") == []
        assert (await shop.see(bob, done))["status"] == "completed"
        assert (await bob.get(f"/marketplace/download/{kept}")).status_code == 200
        # Nor is she paid, until that is over.
        assert (await bob.post(f"{service}/accept")).is_success
        await shop.work()
        assert (await shop.sums())["seller"] == 1_800
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [630]
        await adam.post(f"/admin/users/{olga.id}/restore")
        await shop.work()
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [630, 1_800]
        shop.stripe.pay(shop.session(again))
        await shop.deliver()
        assert (await shop.see(bob, again))["status"] == "completed"
        await shop.prove()


async def test_what_is_offered_in_the_moment_of_a_suspension(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K2, K12, K18: it is there before that, and closed with all else."""
    async with open_world(database, tmp_path) as world:
        ada, dora, bob, boss = [
            await world.person(name, "admin" if name == "boss" else "user")
            for name in ("ada", "dora", "bob", "boss")
        ]
        close = next(task for task in tasks(world.parts) if task.kind is CLOSE_USER)
        put, suspending = words_store.put, list[asyncio.Task[httpx.Response]]()
        draft = (await offer(dora, status="draft"))["id"]
        for seller, change in (
            (ada, ada.post(PRODUCTS, json={"title": "A", "price": 1, "product_type": "service"})),
            (dora, dora.put(f"{PRODUCTS}/{draft}", json={"title": "B", "status": "active"})),
        ):

            async def slow(tx: Tx, product_id: UUID, title: str, seller: Person = seller) -> None:
                """Amid what makes a product, or puts it on sale, its seller is suspended."""
                suspend = boss.post(f"/admin/users/{seller.id}/suspend", json={"reason": "Theft"})
                suspending.append(asyncio.create_task(suspend))
                await asyncio.sleep(0.05)
                await put(tx, product_id, title)

            monkeypatch.setattr(words_store, "put", slow)
            assert (await change).is_success
            assert (await suspending.pop()).is_success
            assert len(await listed(bob)) == 1
            told = EventJob(new_id(), UserSuspended.kind, {"user_id": seller.id})
            await close.run(Job(new_id(), CLOSE_USER.name, "{}", 1, clock.now()), told)
            assert await listed(bob) == []


async def test_a_share_that_was_booked_waits_for_a_suspension_too(database: Database, tmp_path: Path) -> None:
    """K15: the provider was away when it was to be handed over, and the seller was suspended meanwhile."""
    async with open_shop(database, tmp_path) as shop:
        adam = await shop.person("adam", "admin")
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        mix = (await offer(olga, price=20))["id"]
        order = (await shop.order(bob, mix))["id"]
        service = f"{ORDERS}/{order}/services/{mix}"
        assert (await olga.post(f"{service}/deliver", json={"note": "Here"})).is_success
        shop.stripe.down = True
        assert (await bob.post(f"{service}/accept")).is_success
        await shop.work()
        assert await database.rows("SELECT state FROM seller_shares") == [("begun",)]
        shop.stripe.down = False
        assert (await adam.post(f"/admin/users/{olga.id}/suspend", json={"reason": "Theft"})).is_success
        await shop.again()
        assert shop.stripe.list("transfer") == []
        assert (await adam.post(f"/admin/users/{olga.id}/restore")).is_success
        # As whoever asks after shares does, each quarter of an hour.
        job = Job(new_id(), PAY_SELLERS.name, "{}", 1, clock.now())
        await shop.tasks[PAY_SELLERS.name].run(job, PaySellers(UUID(order)))
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [1_800]

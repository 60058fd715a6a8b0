"""Sellers who leave and delete while others buy: none waits for one that waits for it, and all adds up."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, PRODUCTS, bought, buy, offer, offer_track, prove
from tests.rooms.test_lock_order import held, leave, waiting
from tests.rooms.tracks_house import check_counts, plant
from tests.world import open_world
from veza.core.db import Database
from veza.rooms.marketplace import products
from veza.rooms.tracks import sales


async def test_all_at_once_and_nobody_waits_in_vain(database: Database, tmp_path: Path) -> None:
    """K16, K18, U8: buying, refunding, archiving, deleting and leaving, all begun while a track is held."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan, bob, eve = [await world.person(name) for name in ("olga", "stan", "bob", "eve")]
        tracks = [await plant(world, olga) for _ in range(3)]
        singles = [await offer_track(world, olga, track) for track in tracks]
        pack = await offer(olga, product_type="pack", track_ids=tracks)
        other = await offer_track(world, stan)
        order = await bought(bob, singles[0]["id"], other["id"])
        ids = [one["id"] for one in (*singles, pack, other)]
        writes: list[Any] = [
            buy(eve, *ids), buy(bob, *ids[1:]), buy(eve, *reversed(ids)), buy(bob, ids[3]),
            olga.put(f"{PRODUCTS}/{ids[0]}", json={"status": "archived"}),
            olga.put(f"{PRODUCTS}/{ids[3]}", json={"status": "archived"}),
            olga.put(f"{PRODUCTS}/{ids[3]}", json={"status": "active"}),
            olga.post(f"{ORDERS}/{order['id']}/refund"), stan.post(f"{ORDERS}/{order['id']}/refund"),
            olga.delete(f"/tracks/{tracks[1]}"),
            *(olga.put(f"{PRODUCTS}/{one}", json={"price": 3}) for one in ids[:4]),
        ]  # fmt: skip
        async with held(database, tracks[0]):
            writing = asyncio.gather(*writes)
            await waiting(database, 3)
            leaving = asyncio.gather(leave(bob), leave(stan), leave(olga))
            await waiting(database, 6)
        answers = await writing
        assert {answer.status_code for answer in answers} <= {200, 201, 401, 403, 404, 409}, [
            answer.text for answer in answers
        ]
        assert await leaving == [200] * 3
        await prove(world)
        await check_counts(world)
        assert await rows_of(world, "tracks") == {"tracks": 0}
        sellers = await database.rows("SELECT COUNT(*) FROM products WHERE status IN ('active', 'draft')")
        assert sellers == [(0,)]


async def test_two_accounts_with_each_others_things_leave(database: Database, tmp_path: Path) -> None:
    """U8, K16: each has bought from the other."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        anns, bobs = [await offer_track(world, person) for person in (ann, bob)]
        await bought(ann, bobs["id"])
        await bought(bob, anns["id"])
        assert await asyncio.gather(leave(ann), leave(bob)) == [200, 200]
        await prove(world)
        assert await rows_of(world, "licences", "track_buyers", "products") == {
            "licences": 0, "track_buyers": 0, "products": 2,
        }  # fmt: skip


async def test_what_is_for_sale_is_said_again(database: Database, tmp_path: Path) -> None:
    """T20: whatever was said of a track before, it is for sale just if a product has it."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        one = await offer_track(world, olga)
        async with database.write() as tx:
            found = await sales.hold(tx, [UUID(one["track_id"])])
            await sales.mark(tx, UUID(one["track_id"]), for_sale=False)
            await products.mark(tx, found)
        track = (await olga.get(f"/tracks/{one['track_id']}")).json()["data"]["track"]
        assert track["for_sale"] is True

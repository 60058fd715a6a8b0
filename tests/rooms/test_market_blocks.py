"""Blocks in the shop: neither sees or buys what the other sells, and what is bought stays bought."""

from pathlib import Path
from typing import Any

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, PRODUCTS, bought, buy, link, offer, offer_track, prove
from tests.rooms.test_blocks import block
from tests.rooms.tracks_house import BYTES, code
from tests.world import Person, open_world
from veza.core.db import Database

# Each kind of list: all of it, a page by offset, by a type, by prices in either order, and by words.
LISTS = (
    "?sort_order=asc", "?limit=1&page=2", "?product_type=track", "?min_price=1&max_price=100",
    "?min_price=1&sort_by=price", "?q=blue", "?q=blue+th&max_price=100",
)  # fmt: skip


async def shown(person: Person, query: str) -> tuple[list[str], int]:
    """The titles of a list, and how many it says there are."""
    answer = (await person.get(f"{PRODUCTS}{query}")).json()
    return [product["title"] for product in answer["data"]], answer["pagination"]["total"]


async def test_neither_buys_from_the_other(database: Database, tmp_path: Path) -> None:
    """G33, T14, K2: lists with their totals, by id, in an order; whoever of the two has blocked."""
    async with open_world(database, tmp_path) as world:
        olga, bob, eve, adam = [
            await world.person(name, "admin" if name == "adam" else "user")
            for name in ("olga", "bob", "eve", "adam")
        ]
        things: dict[str, list[Any]] = {}
        for person in (olga, bob, eve):
            name = person.username
            things[name] = [
                await offer_track(world, person, title=f"Blue thing of {name}", price=5),
                await offer(person, title=f"Blue thing by {name}", price=6),
            ]
        kept = things["olga"][0]["id"]
        order = await bought(bob, kept)
        whole = {query: await shown(world.guest, query) for query in LISTS}
        await block(olga, bob)
        for person, other in ((bob, "olga"), (olga, "bob")):
            for query in LISTS:
                titles, total = await shown(person, query)
                assert not [title for title in titles if other in title], query
                everything, count = whole[query]
                hers = 1 if "product_type" in query else 2
                assert total == count - hers, query
                if "page" not in query:
                    assert titles == [title for title in everything if other not in title], query
            theirs = (await world.person(other)).id
            assert await shown(person, f"?seller_id={theirs}") == ([], 0)
            other_thing = things[other][1]["id"]
            assert code(await person.get(f"{PRODUCTS}/{other_thing}")) == (404, "PRODUCT_NOT_FOUND")
            assert code(await buy(person, other_thing)) == (404, "PRODUCT_NOT_FOUND")
            cart = [things["eve"][1]["id"], other_thing]
            assert code(await buy(person, *cart)) == (404, "PRODUCT_NOT_FOUND")
            own = await shown(person, f"?seller_id={person.id}&sort_order=asc")
            assert own == ([one["title"] for one in things[person.username]], 2)
            assert code(await person.get(f"/marketplace/download/{other_thing}")) == (
                404,
                "PRODUCT_NOT_FOUND",
            )
        for person in (world.guest, eve, adam):
            assert {query: await shown(person, query) for query in LISTS} == whole
        # What is owned is seen, downloaded and given back as before.
        assert (await bob.get(f"{PRODUCTS}/{kept}")).json()["data"]["id"] == kept
        assert (await world.guest.get(await link(bob, kept))).content == BYTES
        assert (await bob.get(f"{ORDERS}/{order['id']}")).status_code == 200
        assert await rows_of(world, "orders") == {"orders": 1}
        assert (await olga.post(f"{ORDERS}/{order['id']}/refund")).status_code == 200
        assert code(await bob.get(f"{PRODUCTS}/{kept}")) == (404, "PRODUCT_NOT_FOUND")
        await olga.delete(f"/users/{bob.id}/block")
        assert {query: await shown(bob, query) for query in LISTS} == whole
        assert (await bought(bob, kept))["status"] == "completed"
        await prove(world)

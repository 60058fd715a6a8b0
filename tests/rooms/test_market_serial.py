"""What several do to one product at once ends as if they had done it one after the other, in some order."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.market_house import ORDERS, PRODUCTS, offer, prove
from tests.world import Person, open_world
from veza.core.db import Database

OLD, NEW = 5.0, 7.0
# What each act came to, and the product afterwards: its price and status.
Outcome = tuple[tuple[Any, ...], float, str]


async def buy(person: Person, product_id: str, expected: float | None) -> Any:
    """What was paid, or why nothing was bought."""
    item = {"product_id": product_id} | ({} if expected is None else {"expected_price": expected})
    answer = await person.post(ORDERS, json={"items": [item]})
    return answer.json()["data"]["total_amount"] if answer.is_success else answer.json()["error"]["code"]


async def change(person: Person, product_id: str, **what: Any) -> Any:
    """The status code of a change."""
    return (await person.put(f"{PRODUCTS}/{product_id}", json=what)).status_code


# Two are quoted a price, pay, and place their order; meanwhile the price rises and the sale ends.
STEPS = ("quote 0", "place 0", "quote 1", "place 1", "raise", "end")


def one_after_the_other(order: Sequence[str]) -> Outcome:
    """What these steps come to in this order; the first buyer expects the old price, the other takes any."""
    price, status, results, quoted = OLD, "active", list[Any]([None, None, 200, 200]), [0.0, 0.0]
    for what, _, whose in (step.partition(" ") for step in order):
        buyer = int(whose or 0)
        if what == "raise":
            price = NEW
        elif what == "end":
            status = "archived"
        elif results[buyer] is None and status != "active":
            results[buyer] = "PRODUCT_NOT_AVAILABLE"
        elif results[buyer] is None and what == "quote":
            quoted[buyer] = price
            results[buyer] = "PRICE_CHANGED" if buyer == 0 and price != OLD else None
        elif results[buyer] is None:
            results[buyer] = price if price == quoted[buyer] else "PRICE_CHANGED"
    return tuple(results), price, status


SERIAL = {
    one_after_the_other(order)
    for order in permutations(STEPS)
    if all(order.index(f"quote {one}") < order.index(f"place {one}") for one in (0, 1))
}


async def after(seconds: float, turns: int, act: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """The act, begun some time and some turns of the loop later; and how long it took."""
    await asyncio.sleep(seconds)
    for _ in range(turns):
        await asyncio.sleep(0)
    began = time.monotonic()
    return await act(), time.monotonic() - began


async def test_a_sale_amid_changes_is_as_one_before_or_after_them(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """K18, K6: `--sales` says how many products are bought while their price rises and their sale ends."""
    dice, met, longest = random.Random(18), set[Outcome](), 0.0
    async with open_world(database, tmp_path) as world:
        olga, bob, eve = [await world.person(name) for name in ("olga", "bob", "eve")]
        for _ in range(int(request.config.getoption("--sales"))):
            product_id = (await offer(olga, price=OLD))["id"]
            acts: list[Callable[[], Awaitable[Any]]] = [
                lambda id_=product_id: buy(bob, id_, OLD),
                lambda id_=product_id: buy(eve, id_, None),
                lambda id_=product_id: change(olga, id_, price=NEW),
                lambda id_=product_id: change(olga, id_, status="archived"),
            ]
            # However slow the database is, each of them may be over before another begins.
            begun = [after(dice.uniform(0, longest), dice.randrange(30), act) for act in acts]
            results, took = zip(*await asyncio.gather(*begun), strict=True)
            longest = max(took)
            left = (await olga.get(f"{PRODUCTS}/{product_id}")).json()["data"]
            outcome = (results, left["price"], left["status"])
            assert outcome in SERIAL, outcome
            met.add(outcome)
        await prove(world)
    assert len(met) > 1, "they never met"

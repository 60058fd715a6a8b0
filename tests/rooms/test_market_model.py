"""The shop beside a model of it: whatever is done in whatever order, both say the same."""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, PRODUCTS, buy, listed, offer, prove
from tests.world import Person, open_world
from veza.core.db import Database

STEPS = 120
MOVES = {("draft", "active"), ("active", "archived"), ("archived", "active")}


@dataclass
class Thing:
    """A product as it should be; prices in cents."""

    seller: str
    price: int
    exclusive: bool
    status: str
    owners: set[str] = field(default_factory=set)


@dataclass
class Shop:
    """What should be true."""

    people: dict[str, Person]
    things: dict[str, Thing] = field(default_factory=dict)
    orders: dict[str, tuple[str, dict[str, int], set[str]]] = field(default_factory=dict)

    def moved(self, name: str, thing: str, status: str) -> int:
        """The status code of moving a thing, and the move."""
        one = self.things[thing]
        if one.seller != name:
            return 403 if one.status == "active" or name in one.owners else 404
        if status != one.status and (one.status, status) not in MOVES:
            return 409
        one.status = status
        return 200

    def bought(self, name: str, cart: list[str]) -> int:
        """The same of buying a cart."""
        things = [self.things[one] for one in cart]
        if any(one.seller == name for one in things):
            return 422
        if any(name in one.owners or one.status != "active" for one in things):
            return 409
        for one in things:
            one.owners.add(name)
            one.status = "sold" if one.exclusive else one.status
        return 201

    def refunded(self, name: str, order: str) -> int:
        """The same of giving back what somebody sold in an order."""
        buyer, lines, given_back = self.orders[order]
        own = {one for one in lines if self.things[one].seller == name}
        if not own:
            return 403 if buyer == name else 404
        if own <= given_back:
            return 409
        for one in own - given_back:
            thing = self.things[one]
            thing.owners.discard(buyer)
            thing.status = "archived" if thing.exclusive and thing.status == "sold" else thing.status
        given_back |= own
        return 200


async def step(shop: Shop, dice: random.Random) -> tuple[Any, int]:
    """Do something in the shop and in its model; the answer, and the status that it should have."""
    name = dice.choice(list(shop.people))
    person = shop.people[name]
    deed = dice.choice(("offer", "move", "price", "buy", "buy", "buy", "refund"))
    if deed == "offer" or not shop.things:
        exclusive, status = dice.random() < 0.4, dice.choice(("draft", "active", "active"))
        price = dice.randrange(5_000)
        made = await offer(
            person, price=price / 100, status=status, license_type="exclusive" if exclusive else "standard"
        )
        shop.things[made["id"]] = Thing(name, price, exclusive, status)
        return None, 0
    thing = dice.choice(list(shop.things))
    if deed == "move":
        status = dice.choice(("draft", "active", "archived"))
        expected = shop.moved(name, thing, status)
        return await person.put(f"{PRODUCTS}/{thing}", json={"status": status}), expected
    if deed == "price":
        one, price = shop.things[thing], dice.randrange(5_000)
        expected = shop.moved(name, thing, one.status)
        one.price = price if expected == 200 else one.price
        return await person.put(f"{PRODUCTS}/{thing}", json={"price": price / 100}), expected
    if deed == "refund" and shop.orders:
        order = dice.choice(list(shop.orders))
        expected = shop.refunded(name, order)
        return await person.post(f"{ORDERS}/{order}/refund"), expected
    cart = dice.sample(list(shop.things), min(len(shop.things), dice.randrange(1, 4)))
    expected = shop.bought(name, cart)
    answer = await buy(person, *cart)
    if answer.status_code == 201:
        lines = {one: shop.things[one].price for one in cart}
        order = answer.json()["data"]
        assert order["total_amount"] == sum(lines.values()) / 100
        shop.orders[order["id"]] = (name, lines, set())
    return answer, expected


async def test_the_shop_and_its_model_say_the_same(database: Database, tmp_path: Path) -> None:
    """K1, K2, K4, K6, K11, K12, K13, K18: answer by answer, and in the end all of it."""
    seed = int.from_bytes(os.urandom(4))
    dice = random.Random(seed)
    async with open_world(database, tmp_path, platform_fee=dice.randrange(10_001)) as world:
        shop = Shop({name: await world.person(name) for name in ("ann", "bob", "cleo")})
        for number in range(STEPS):
            answer, expected = await step(shop, dice)
            assert answer is None or answer.status_code == expected, (seed, number, answer.text)
        active = {one for one, thing in shop.things.items() if thing.status == "active"}
        assert set(await listed(world.guest, "?limit=100")) == active, seed
        for name, person in shop.people.items():
            own = {one for one, thing in shop.things.items() if thing.seller == name}
            assert set(await listed(person, f"?limit=100&seller_id={person.id}")) == own, seed
        owned = sum(len(thing.owners) for thing in shop.things.values())
        assert await rows_of(world, "licences", "orders") == {"licences": owned, "orders": len(shop.orders)}
        kept = sum(
            price
            for _, lines, given_back in shop.orders.values()
            for one, price in lines.items()
            if one not in given_back
        )
        [(paid,)] = await database.rows(
            "SELECT COALESCE(SUM(amount), 0) FROM ledger WHERE account = 'payments'"
        )
        assert -int(paid) == kept, seed
        await prove(world)

"""The shop beside a model of it: in whatever order things are done, and fail, both say the same."""

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tests.rooms.market_house import ORDERS, PRODUCTS, buy, listed, offer, prove
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.core.errors import Unavailable
from veza.rooms.marketplace import (
    deliveries_store,
    ledger,
    licences_store,
    orders_store,
    payouts_store,
    products_store,
)
from veza.rooms.marketplace.money import share_of
from veza.rooms.tracks import sales

FEE = 1_234
PAYOUTS = "/marketplace/payouts"
NAMES = ("ann", "bob", "cleo")
MOVES = {("draft", "active"), ("active", "archived"), ("archived", "active")}
# After which of their statements an order and a refund are to fail.
BREAKS: dict[str, list[tuple[Any, str]]] = {
    "order": [
        (orders_store, "add"), (orders_store, "sell"), (licences_store, "add"), (products_store, "change"),
        (ledger, "write"), (sales, "keep"), (sales, "add_buyer"),
    ],
    "refund": [
        (orders_store, "refund"), (licences_store, "drop"), (sales, "drop_buyer"), (ledger, "write"),
        (orders_store, "set_status"),
    ],
    "work": [(ledger, "write"), (deliveries_store, "set_state"), (deliveries_store, "add")],
    "payout": [(payouts_store, "add"), (payouts_store, "settle"), (ledger, "move")],
}  # fmt: skip


# From which state a service goes to which.
DEEDS = {
    "deliver": ({"ordered", "revision"}, "delivered"),
    "accept": ({"delivered", "revision"}, "accepted"),
    "revision": ({"delivered"}, "revision"),
}


@dataclass
class Thing:
    """A product as it should be; prices in cents."""

    seller: str
    price: int
    exclusive: bool
    status: str


@dataclass
class Bought:
    """An order as it should be: what each thing in it cost, how far it is, and what was given back."""

    buyer: str
    prices: dict[str, int]
    states: dict[str, str]
    given_back: set[str] = field(default_factory=set)


class Model:
    """What should be true: each deed says with which status it is answered, and does it only if asked to."""

    def __init__(self, fee: int) -> None:
        self.fee = fee
        self.things: dict[str, Thing] = {}
        self.orders: dict[str, Bought] = {}
        # What each asked to be paid and was not refused, or got back.
        self.paid: dict[str, int] = dict.fromkeys(NAMES, 0)

    def move(self, name: str, thing: str, status: str) -> int:
        one = self.things[thing]
        if one.seller != name:
            return 403 if one.status == "active" or self.owned(name, thing) else 404
        if status != one.status and (one.status, status) not in MOVES:
            return 409
        one.status = status
        return 200

    def may_buy(self, name: str, cart: list[str]) -> int:
        things = [self.things[one] for one in cart]
        if any(one.seller == name for one in things):
            return 422
        if any(one.status != "active" for one in things):
            return 409
        # All are services, which are ordered again once they are accepted.
        return 409 if any(self.owned(name, one) - {"accepted"} for one in cart) else 201

    def owned(self, name: str, thing: str) -> set[str]:
        """How far those orders of somebody's are that have this in them, but for what was given back."""
        mine = [one for one in self.orders.values() if one.buyer == name and thing in one.prices]
        return {one.states[thing] for one in mine if thing not in one.given_back}

    def buy(self, name: str, cart: list[str], order: str) -> None:
        prices = {one: self.things[one].price for one in cart}
        self.orders[order] = Bought(name, prices, dict.fromkeys(cart, "ordered"))
        for one in (self.things[thing] for thing in cart):
            one.status = "sold" if one.exclusive else one.status

    def may_refund(self, name: str, order: str) -> int:
        found, own = self.orders[order], self.sold_by(name, order)
        if not own:
            if found.buyer != name:
                return 404
            waits = {found.states[one] for one in found.prices if one not in found.given_back}
            return 409 if waits & {"ordered", "revision"} else 403
        return 200 if self.left(own, found) else 409

    def refund(self, name: str, order: str) -> None:
        found = self.orders[order]
        for one in self.left(self.sold_by(name, order), found):
            thing = self.things[one]
            thing.status = "archived" if thing.exclusive and thing.status == "sold" else thing.status
            found.given_back.add(one)

    def sold_by(self, name: str, order: str) -> set[str]:
        return {one for one in self.orders[order].prices if self.things[one].seller == name}

    def left(self, own: set[str], found: Bought) -> set[str]:
        """What of these can still be given back."""
        return {one for one in own - found.given_back if found.states[one] != "accepted"}

    def work(self, name: str, order: str, thing: str, deed: str) -> int:
        """The seller delivers, or the buyer accepts or sends back."""
        found = self.orders[order]
        seller = self.things[thing].seller
        if name not in {found.buyer, seller}:
            return 404
        if name != (seller if deed == "deliver" else found.buyer):
            return 403
        if thing in found.given_back or found.states[thing] not in DEEDS[deed][0]:
            return 409
        found.states[thing] = DEEDS[deed][1]
        return 200

    def earned(self, name: str) -> tuple[int, int]:
        """What somebody has of all that they sold and can be paid, and what of it is held."""
        sums = {True: -self.paid[name], False: 0}
        for found in self.orders.values():
            for one, price in found.prices.items():
                if self.things[one].seller == name and one not in found.given_back:
                    sums[found.states[one] == "accepted"] += price - share_of(price, self.fee)
        return sums[True], sums[False]

    def licences(self) -> set[tuple[str, str, str]]:
        return {
            (found.buyer, one, order)
            for order, found in self.orders.items()
            for one in found.prices.keys() - found.given_back
        }


@contextmanager
def broken(place: tuple[Any, str] | None) -> Iterator[list[str]]:
    """Within this block everything fails right after this function; what has failed."""
    failed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        if place is not None:
            module, name = place
            real = getattr(module, name)

            async def fail(*args: Any, **named: Any) -> Any:
                await real(*args, **named)
                failed.append(name)
                raise Unavailable

            patch.setattr(module, name, fail)
        yield failed


def text(found: Any) -> str:
    """An id as callers see it, from either database."""
    return str(found if isinstance(found, UUID) else UUID(bytes=bytes(found)))


def ids(rows: list[Any]) -> list[tuple[str, ...]]:
    """Rows of ids."""
    return [tuple(text(one) for one in row) for row in rows]


def machine(world: World, admin: Person, loop: asyncio.AbstractEventLoop) -> type[RuleBasedStateMachine]:
    """Random lives of the shop; each with people of its own."""
    database, numbers = world.parts.database, itertools.count()

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    names, part, cents = st.sampled_from(NAMES), st.floats(0, 1, exclude_max=True), st.integers(0, 5_000)
    status = st.sampled_from(("draft", "active", "archived"))

    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            life = next(numbers)
            self.model = Model(FEE)
            self.people: dict[str, Person] = {name: wait(world.person(f"{name}{life}")) for name in NAMES}

        @rule(
            name=names,
            price=cents,
            licence=st.sampled_from(("standard", "exclusive")),
            status=st.sampled_from(("draft", "active")),
        )
        def offer(self, name: str, price: int, licence: str, status: str) -> None:
            made = wait(offer(self.people[name], price=price / 100, status=status, license_type=licence))
            self.model.things[made["id"]] = Thing(name, price, licence == "exclusive", status)

        @precondition(lambda self: self.model.things)
        @rule(name=names, part=part, status=status)
        def move(self, name: str, part: float, status: str) -> None:
            thing = self._pick(self.model.things, part)
            answer = wait(self.people[name].put(f"{PRODUCTS}/{thing}", json={"status": status}))
            assert answer.status_code == self.model.move(name, thing, status), answer.text

        @precondition(lambda self: self.model.things)
        @rule(name=names, part=part, price=cents)
        def change_price(self, name: str, part: float, price: int) -> None:
            thing = self._pick(self.model.things, part)
            one = self.model.things[thing]
            answer = wait(self.people[name].put(f"{PRODUCTS}/{thing}", json={"price": price / 100}))
            assert answer.status_code == self.model.move(name, thing, one.status), answer.text
            one.price = price if answer.status_code == 200 else one.price

        @precondition(lambda self: self.model.things)
        @rule(name=names, dice=st.randoms(use_true_random=False), count=st.integers(1, 3))
        def buy(self, name: str, dice: Any, count: int) -> None:
            self._buy(name, dice, count, None)

        @precondition(lambda self: self.model.things)
        @rule(
            name=names,
            dice=st.randoms(use_true_random=False),
            count=st.integers(1, 3),
            place=st.sampled_from(BREAKS["order"]),
        )
        def fail_to_buy(self, name: str, dice: Any, count: int, place: tuple[Any, str]) -> None:
            self._buy(name, dice, count, place)

        def _buy(self, name: str, dice: Any, count: int, place: tuple[Any, str] | None) -> None:
            cart = dice.sample(list(self.model.things), min(count, len(self.model.things)))
            expected = self.model.may_buy(name, cart)
            with broken(place) as failed:
                answer = wait(buy(self.people[name], *cart))
            assert answer.status_code == (503 if failed else expected), answer.text
            if answer.status_code == 201:
                order = answer.json()["data"]
                self.model.buy(name, cart, order["id"])
                prices = self.model.orders[order["id"]].prices
                assert [item["price"] for item in order["items"]] == [prices[one] / 100 for one in cart]
                assert order["total_amount"] == sum(prices.values()) / 100

        @precondition(lambda self: self.model.orders)
        @rule(name=names, part=part, place=st.none() | st.sampled_from(BREAKS["refund"]))
        def refund(self, name: str, part: float, place: tuple[Any, str] | None) -> None:
            order = self._pick(self.model.orders, part)
            expected = self.model.may_refund(name, order)
            with broken(place) as failed:
                answer = wait(self.people[name].post(f"{ORDERS}/{order}/refund"))
            assert answer.status_code == (503 if failed else expected), answer.text
            if answer.status_code == 200:
                self.model.refund(name, order)

        @precondition(lambda self: self.model.orders)
        @rule(
            part=part,
            deed=st.sampled_from(sorted(DEEDS)),
            stranger=st.none() | names,
            place=st.none() | st.sampled_from(BREAKS["work"]),
        )
        def work(self, part: float, deed: str, stranger: str | None, place: tuple[Any, str] | None) -> None:
            order = self._pick(self.model.orders, part)
            found = self.model.orders[order]
            thing = self._pick(found.prices, part * 7 % 1)
            by = self.model.things[thing].seller if deed == "deliver" else found.buyer
            body = {"deliver": {"note": "Here"}, "revision": {"reason": "More"}}.get(deed)
            before = dict(found.states)
            expected = self.model.work(stranger or by, order, thing, deed)
            with broken(place) as failed:
                path = f"{ORDERS}/{order}/services/{thing}/{deed}"
                answer = wait(self.people[stranger or by].post(path, json=body))
            assert answer.status_code == (503 if failed else expected), answer.text
            found.states = before if failed else found.states

        @rule(
            name=names,
            amount=st.integers(1, 9_000),
            status=st.sampled_from(("paid", "failed")),
            place=st.none() | st.sampled_from(BREAKS["payout"]),
        )
        def pay(self, name: str, amount: int, status: str, place: tuple[Any, str] | None) -> None:
            available, _ = self.model.earned(name)
            with broken(place) as failed:
                answer = wait(self.people[name].post(PAYOUTS, json={"amount": amount / 100}))
            assert answer.status_code == (503 if failed else 201 if amount <= available else 409)
            if answer.status_code != 201:
                return
            path = f"/admin/payouts/{answer.json()['data']['id']}"
            with broken(place) as failed:
                settled = wait(admin.put(path, json={"status": status}))
            assert settled.status_code == (503 if failed else 200), settled.text
            self.model.paid[name] += amount if failed or status == "paid" else 0

        def _pick(self, among: dict[str, Any], part: float) -> str:
            return list(among)[int(part * len(among))]

        @invariant()
        def both_say_the_same(self) -> None:
            wait(self._compare())

        async def _compare(self) -> None:
            await prove(world)
            [(total,)] = await database.rows("SELECT COALESCE(SUM(amount), 0) FROM ledger")
            assert int(total) == 0
            numbers = {person.id: name for name, person in self.people.items()}
            owned = ids(await database.rows("SELECT buyer_id, product_id, order_id FROM licences"))
            mine = [(numbers[buyer], *more) for buyer, *more in owned if buyer in numbers]
            assert set(mine) == self.model.licences()
            assert len(mine) == len(set(mine))
            placed = ids(await database.rows("SELECT buyer_id, id FROM orders"))
            assert {one for buyer, one in placed if buyer in numbers} == set(self.model.orders)
            states = dict(await database.rows("SELECT id, status FROM products"))
            found = {text(one): status for one, status in states.items()}
            assert {one: found[one] for one in self.model.things} == {
                one: thing.status for one, thing in self.model.things.items()
            }
            sums = "SELECT owner_id, account, SUM(amount) FROM ledger GROUP BY owner_id, account"
            rows = await database.rows(sums)
            earned = {(text(owner), account): int(amount) for owner, account, amount in rows if owner}
            for name, person in self.people.items():
                has = tuple(earned.get((person.id, account), 0) for account in ("seller", "held"))
                assert has == self.model.earned(name)

        def teardown(self) -> None:
            for name, person in self.people.items():
                own = {one: thing.status for one, thing in self.model.things.items() if thing.seller == name}
                active = {one for one, status in own.items() if status == "active"}
                query = f"?limit=100&seller_id={person.id}"
                assert set(wait(listed(person, query))) == set(own)
                assert set(wait(listed(world.guest, query))) == active

    return Life


async def test_the_shop_and_its_model_say_the_same(database: Database, tmp_path: Path) -> None:
    """K1, K2, K4, K5, K6, K11, K12, K13, K17, K18: after each deed, also one that failed at any statement."""
    async with open_world(database, tmp_path, platform_fee=FEE, payout_minimum=1) as world:
        chosen = settings(
            max_examples=3,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        life = machine(world, await world.person("adam", "admin"), asyncio.get_running_loop())
        await asyncio.to_thread(run_machine, life, settings=chosen)

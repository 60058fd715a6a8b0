"""Money as pure arithmetic: a hundred thousand random carts, exact to the cent."""

import random
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from veza.core.ids import new_id
from veza.rooms.marketplace import ledger
from veza.rooms.marketplace.money import BASIS_POINTS, MOST, share_of, shown, to_minor, written
from veza.rooms.marketplace.orders import Quote, Shop, view
from veza.rooms.marketplace.orders_store import Order
from veza.rooms.marketplace.payments import Instant
from veza.rooms.marketplace.products_store import Product

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER, BUYER, SELLER = [new_id() for _ in range(3)]
NO_DATABASE: Any = None
SHOWN = re.compile(rb'"(?:total_amount|price)":([0-9.]+)')


def test_every_amount_is_shown_as_it_is() -> None:
    """K8: whatever it is, what is written and read again is the same, with two decimals at most."""
    dice = random.Random(1)
    for minor in (0, 1, 99, 100, MOST, *(dice.randrange(MOST + 1) for _ in range(100_000))):
        text = msgspec.json.encode(shown(minor)).decode()
        assert Decimal(text) * 100 == minor
        assert len(text.partition(".")[2]) <= 2
        assert to_minor(Decimal(text)) == minor
    assert written(100_005, "EUR") == "1000.05 EUR"


def test_any_cart_is_exact_to_the_cent() -> None:
    """K8: 100,000 carts by the shop's own arithmetic: fees, total, the answer, the ledger there and back."""
    dice = random.Random(2)
    rates = (0, 1, 333, 1_000, 2_500, BASIS_POINTS)
    shops = {rate: Shop(NO_DATABASE, Instant(), fee=rate, verified_only=False) for rate in rates}
    kinds = [
        (kind, licence) for kind in ("track", "pack", "service") for licence in ("extended", "exclusive")
    ]
    for _ in range(100_000):
        rate = dice.choice(rates)
        prices = [dice.randrange(10 ** dice.randrange(1, 9)) for _ in range(dice.randrange(1, 4))]
        cart = [
            Product(BUYER, SELLER, "A", "", price, "EUR", *dice.choice(kinds), "active", None, NOW, NOW)
            for price in prices
        ]
        quote = Quote(ORDER, cart)
        order = Order(ORDER, BUYER, "EUR", quote.total, "completed", "instant", "1", None, NOW, NOW)
        items = [shops[rate]._line(order, position, one) for position, one in enumerate(cart)]
        for item in items:
            exact = Decimal(item.price) * rate / BASIS_POINTS
            assert item.fee == exact.quantize(Decimal(1), ROUND_HALF_UP)
        amounts = [
            Decimal(one.decode()) * 100 for one in SHOWN.findall(msgspec.json.encode(view(order, items, {})))
        ]
        assert (sum(amounts), max(amounts)) == (2 * sum(prices), sum(prices))
        sold = [side for one in items for side in ledger.sides(one, ledger.SALE)]
        back = [side for one in items for side in ledger.sides(one, ledger.REFUND)]
        assert [(account, owner, -amount) for account, owner, amount in back] == sold
        assert sum(amount for *_, amount in sold) == 0
        assert -sum(amount for account, _, amount in sold if account == ledger.PAYMENTS) == quote.total
        assert sum(amount for account, _, amount in sold if account == ledger.FEES) == sum(
            item.fee for item in items
        )


def test_fees_are_rounded_to_the_nearest_cent() -> None:
    assert [share_of(price, 1_000) for price in (0, 4, 5, 14, 15, 999)] == [0, 0, 1, 1, 2, 100]
    assert share_of(MOST, BASIS_POINTS) == MOST

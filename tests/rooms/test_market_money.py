"""Money as pure arithmetic: a hundred thousand random carts, exact to the cent."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from veza.core.ids import new_id
from veza.rooms.marketplace import ledger
from veza.rooms.marketplace.money import BASIS_POINTS, MOST, share_of, shown, to_minor, written
from veza.rooms.marketplace.orders_store import Item

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = [new_id() for _ in range(3)]


def line(price: int, fee: int, position: int) -> Item:
    return Item(IDS[0], position, IDS[1], IDS[2], "A", "track", "standard", price, fee, NOW, None)


def test_every_amount_is_shown_as_it_is() -> None:
    """K8: whatever it is, what is written and read again is the same, with two decimals at most."""
    dice = random.Random(1)
    for minor in (0, 1, 99, 100, MOST, *(dice.randrange(MOST + 1) for _ in range(100_000))):
        text = msgspec.json.encode(shown(minor)).decode()
        assert Decimal(text) * 100 == minor
        assert len(text.partition(".")[2]) <= 2
        assert to_minor(Decimal(text)) == minor
    assert written(100_005, "EUR") == "1000.05 EUR"


def test_the_ledger_of_any_cart_sums_to_zero() -> None:
    """K8: 100,000 carts: what buyers pay is what sellers and platform have, sold and refunded."""
    dice = random.Random(2)
    for _ in range(100_000):
        rate = dice.choice((0, 1, 333, 1_000, 2_500, BASIS_POINTS))
        prices = [dice.randrange(10 ** dice.randrange(1, 9)) for _ in range(dice.randrange(1, 4))]
        cart = [line(price, share_of(price, rate), n) for n, price in enumerate(prices)]
        sold = [side for one in cart for side in ledger.sides(one, ledger.SALE)]
        back = [side for one in cart for side in ledger.sides(one, ledger.REFUND)]
        amounts = [amount for _, _, amount in sold]
        assert sum(amounts) == 0
        assert [-amount for _, _, amount in back] == amounts
        assert sum(amount for amount in amounts if amount < 0) == -sum(prices)


def test_fees_are_rounded_to_the_nearest_cent() -> None:
    assert [share_of(price, 1_000) for price in (0, 4, 5, 14, 15, 999)] == [0, 0, 1, 1, 2, 100]
    assert share_of(MOST, BASIS_POINTS) == MOST

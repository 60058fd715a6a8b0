"""Amounts of money: whole minor units (cents) inside, JSON numbers with at most two decimals outside.

Nothing is ever calculated with binary fractions. Only at the edge does an amount become one, of at most
fifteen digits: so the shortest way to write it is the amount itself (IEEE 754, binary64).
"""

from decimal import Decimal
from typing import Annotated, Literal

from veza.core.body import checked
from veza.core.errors import Detail, InvalidRequest
from veza.core.text import BadValue

# Those whose minor unit is a hundredth (ISO 4217).
Currency = Literal[
    "EUR", "USD", "GBP", "CHF", "AUD", "BRL", "CAD", "CZK", "DKK", "HKD", "INR", "MXN", "NOK", "NZD", "PLN",
    "RON", "SEK", "SGD", "ZAR",
]  # fmt: skip
# Minor units; what a single thing may cost.
MOST = 99_999_999
BASIS_POINTS = 10_000
_HUNDREDTH = Decimal("0.01")


def to_minor(amount: Decimal | int) -> int:
    """The minor units of an amount as it was written. Raises :class:`BadValue` for what is no price."""
    exact = Decimal(amount)
    if not exact.is_finite() or not 0 <= exact <= shown_most():
        raise BadValue("INVALID", f"A price is between 0 and {shown_most()}.")
    rounded = exact.quantize(_HUNDREDTH)
    if rounded != exact:
        raise BadValue("INVALID", "A price has at most two decimals.")
    return int(rounded * 100)


def shown_most() -> Decimal:
    """The highest price, as it is written."""
    return MOST * _HUNDREDTH


def shown(minor: int) -> float:
    """An amount as callers see it."""
    return minor / 100


def written(minor: int, currency: str) -> str:
    """An amount as people read it: ``9.99 EUR``."""
    return f"{minor // 100}.{minor % 100:02d} {currency}"


def share_of(minor: int, basis_points: int) -> int:
    """So many hundredths of a percent of an amount, rounded to the nearest minor unit, half of one up."""
    return (minor * basis_points + BASIS_POINTS // 2) // BASIS_POINTS


# In a body: a number, written as exactly as it is meant; read as minor units.
Price = Annotated[Decimal | int, checked(to_minor, minimum=0, maximum=float(MOST * _HUNDREDTH))]


def asked_range(least: Decimal | None, most: Decimal | None) -> tuple[int | None, int | None]:
    """The minor units of two prices in a query. Raises :class:`InvalidRequest`, also if they are reversed."""
    found = _asked(least, "min_price"), _asked(most, "max_price")
    if found[0] is not None and found[1] is not None and found[0] > found[1]:
        said = "The highest price is lower than the lowest."
        raise InvalidRequest(details=[Detail("max_price", said, "INVALID")])
    return found


def _asked(amount: Decimal | None, field: str) -> int | None:
    if amount is None:
        return None
    try:
        return to_minor(amount)
    except BadValue as bad:
        raise InvalidRequest(details=[Detail(field, bad.message, bad.code)]) from None

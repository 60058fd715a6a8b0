"""What somebody sells: for the seller alone, without a word of who bought it."""

from datetime import UTC, date, datetime, time, timedelta

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Tx
from veza.rooms.marketplace import payouts
from veza.rooms.marketplace import sales_store as store
from veza.rooms.marketplace.money import shown
from veza.rooms.marketplace.order_schemas import Point, Sales, Sum, TopProduct
from veza.rooms.marketplace.sales_store import Day

_EPOCH = date(1970, 1, 1)


async def of_seller(tx: Tx, actor: Member, days: int) -> Sales:
    """What the actor sold on the last so many days in UTC, with today: a point for each, zeros filled in."""
    today = clock.now().date()
    first = today - timedelta(days=days - 1)
    since = datetime.combine(first, time(), UTC)
    totals = await store.totals(tx, actor.id, since)
    sold = {(row.day, row.currency): row for row in await store.days(tx, actor.id, since)}
    currencies = [total.currency for total in totals] or ["EUR"]
    series = []
    for currency in currencies:
        for number in range(days):
            day = first + timedelta(days=number)
            row = sold.get(((day - _EPOCH).days, currency))
            row = row or Day(0, currency, 0, 0, 0, 0, 0)
            series.append(
                Point(
                    day, currency, row.sales, shown(row.gross), shown(row.gross - row.fees),
                    row.refunds, shown(row.refunded),
                )
            )  # fmt: skip
    return Sales(
        days=days,
        totals=[
            Sum(
                total.currency, total.sales, shown(total.gross), shown(total.fees),
                shown(total.gross - total.fees), total.refunds, shown(total.refunded),
            )
            for total in totals
        ],
        series=series,
        top_products=[
            TopProduct(row.product_id, row.title, row.currency, row.sales, shown(row.gross))
            for row in await store.top(tx, actor.id, since)
        ],
        balance={
            name: shown(found.available) for name, found in (await payouts.standings(tx, actor.id)).items()
        },
    )  # fmt: skip

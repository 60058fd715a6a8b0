"""A seller's statement: what changed their balance, day after day, as JSON in pages or as one CSV."""

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import msgspec
from litestar import Response

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import Detail, InvalidRequest
from veza.core.pages import Page
from veza.core.sheets import Cell, SheetAnswer, sheet
from veza.rooms.marketplace import statement_store as store
from veza.rooms.marketplace.ledger import FAILED, PAYOUT
from veza.rooms.marketplace.money import shown
from veza.rooms.marketplace.money_schemas import Format, Statement, StatementLine
from veza.rooms.marketplace.products import stand
from veza.rooms.marketplace.products_store import MOST_COUNTED
from veza.rooms.marketplace.statement_store import Change, Span

MOST_DAYS = 366
_USUAL = timedelta(days=29)
_PIECE = 1_000
COLUMNS = StatementLine.__struct_fields__


def span_of(actor: Member, first: date | None, last: date | None) -> Span:
    """The days from ``first`` to ``last`` in UTC, both of them; by default the last thirty.

    Raises :class:`InvalidRequest` where these are none, or too many.
    """
    last = last or clock.now().date()
    first = first or last - min(_USUAL, last - date.min)
    if not 0 <= (last - first).days < MOST_DAYS:
        said = f"From start_date to end_date there are between 1 and {MOST_DAYS} days."
        raise InvalidRequest(details=[Detail("end_date", said, "INVALID")])
    return Span(actor.id, datetime.combine(first, time(), UTC), datetime.combine(last, time.max, UTC))


class Statements:
    """Gives statements out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def answer(self, tx: Tx, span: Span, page: Page, form: Format) -> Statement | Response[bytes]:
        """What changed a balance: a page of it, or all of it as a CSV."""
        if form == "csv":
            return SheetAnswer(self.pieces(span), "statement.csv")
        total = await store.count(tx, span)
        offset = min(page.offset, MOST_COUNTED)
        found = await store.page(tx, span, page.limit, offset) if offset < min(total, MOST_COUNTED) else []
        running = await store.opening(tx, span, offset)
        return Statement(
            data=list(_lines(found, running)),
            pagination=stand(page, min(total, MOST_COUNTED), exact=total <= MOST_COUNTED),
        )

    async def pieces(self, span: Span) -> AsyncIterator[bytes]:
        """A CSV of all of it, in pieces; each is looked up when the one before it has been taken."""
        yield sheet([COLUMNS])
        async with self._database.read() as view:
            running = await store.opening(view, span)
            found = await store.page(view, span, _PIECE, 0)
        while found:
            yield sheet(_cells(line) for line in _lines(found, running))
            last = found[-1]
            rest = msgspec.structs.replace(span, since=last.created_at)
            async with self._database.read() as view:
                found = await store.following(view, rest, last.id, _PIECE)


def _lines(found: Iterable[Change], running: dict[str, int]) -> Iterator[StatementLine]:
    """Changes as callers see them; ``running`` is what there is by currency, and goes along."""
    for change in found:
        running[change.currency] = running.get(change.currency, 0) + change.amount
        sign = -1 if change.kind == "refund" else 1
        of_order = change.kind not in {PAYOUT, FAILED}
        gross = change.amount if change.price is None else sign * change.price
        yield StatementLine(
            date=change.created_at,
            kind=change.kind,
            order_id=change.subject_id if of_order else None,
            payout_id=None if of_order else change.subject_id,
            product_id=change.product_id,
            title=change.title or "",
            gross=shown(gross),
            fee=shown(sign * (change.fee or 0)),
            net=shown(change.amount),
            currency=change.currency,
            balance=shown(running[change.currency]),
        )


def _cells(line: StatementLine) -> list[Cell]:
    """Amounts have two decimals, whatever they are."""
    values = [getattr(line, name) for name in COLUMNS]
    return [Decimal(f"{value:.2f}") if isinstance(value, float) else value for value in values]

"""SQL about the words by which products are found: each of a question must begin one of the title's.

Of a common word the newest 1,000 products are looked at: so a question takes milliseconds, whatever it is.
"""

import re
from collections.abc import Sequence
from functools import cache
from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.core.text import fold
from veza.rooms.marketplace.products_store import ProductFilter, fitting
from veza.rooms.marketplace.tables import product_words, products

P = products.c
W = product_words.c
MOST_LOOKED_AT = 1_000
MOST_WORDS = 16
_WORD = re.compile(r"\w+")
_MAX_WORD = 64
# What follows every word that begins with another.
_LAST = chr(0x10FFFF)

_ADD: Statement[None] = Statement(sa.insert(product_words))
_DROP: Statement[None] = Statement(sa.delete(product_words).where(W.product_id == sa.bindparam("product")))
_first = sa.and_(W.word >= sa.bindparam("w0"), W.word < sa.bindparam("z0"))
_candidates = sa.select(W.product_id).where(_first).order_by(W.word.desc(), W.product_id.desc())
_HOW_MANY = Statement(
    sa.select(sa.func.count()).select_from(_candidates.limit(MOST_LOOKED_AT + 1).subquery()), int
)


def words_of(text: str) -> list[str]:
    """The words of a title or a question, as they are compared; the first sixteen."""
    found = dict.fromkeys(word[:_MAX_WORD] for word in _WORD.findall(fold(text)))
    return list(found)[:MOST_WORDS]


async def put(tx: Tx, product_id: UUID, title: str) -> None:
    """Have a product be found by these words, and no others."""
    await tx.run(_DROP, product=product_id)
    await tx.run_many(_ADD, [{"word": word, "product_id": product_id} for word in sorted(words_of(title))])


async def find(tx: Tx, wanted: ProductFilter, words: Sequence[str]) -> tuple[list[UUID], bool]:
    """Which products a filter and all words find, in their order; and whether these are all."""
    counted = [(await tx.first(_HOW_MANY, w0=word, z0=word + _LAST) or 0, word) for word in words]
    rarest = sorted(counted)
    params = {name: value for n, (_, word) in enumerate(rarest) for name, value in _range(n, word)}
    statement = _statement(len(words), wanted.by, wanted.sort, descending=wanted.descending, own=wanted.own)
    return await tx.all(statement, **params, **wanted.values), rarest[0][0] <= MOST_LOOKED_AT


def _range(number: int, word: str) -> list[tuple[str, str]]:
    return [(f"w{number}", word), (f"z{number}", word + _LAST)]


@cache
def _statement(words: int, by: tuple[str, ...], sort: str, *, descending: bool, own: bool) -> Statement[UUID]:
    looked_at = _candidates.limit(MOST_LOOKED_AT).subquery()
    other = product_words.alias()
    also = [
        sa.exists(
            sa.select(1).where(
                other.c.product_id == P.id,
                other.c.word >= sa.bindparam(f"w{n}"),
                other.c.word < sa.bindparam(f"z{n}"),
            )
        )
        for n in range(1, words)
    ]
    found = sa.select(P.id).where(P.id.in_(sa.select(looked_at.c.product_id)), *fitting(by, own=own), *also)
    columns = (products.c[sort], P.id)
    ordered = found.order_by(*(column.desc() if descending else column.asc() for column in columns))
    return Statement(ordered, UUID, heavy=True)

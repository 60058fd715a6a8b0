"""What follows from an event at once: in its transaction, or not at all."""

from typing import Any, ClassVar

import pytest

from veza.core.db import Database, Tx
from veza.core.events import Event, Outbox


class Rung(Event, frozen=True):
    kind: ClassVar[str] = "bell.rung"
    times: int


async def count(database: Database) -> int:
    return int((await database.rows("SELECT count(*) FROM events WHERE kind = 'bell.rung'"))[0][0])


async def test_what_follows_at_once_sees_the_transaction(database: Database) -> None:
    """In the order in which it happened, after all of it is written down."""
    heard: list[tuple[int, int]] = []

    async def hear(tx: Tx, event: Any) -> None:
        assert tx is transaction
        heard.append((event.times, await count(database)))

    database.record_events = Outbox({}, {Rung: [hear]})
    async with database.write() as transaction:
        transaction.emit(Rung(1))
        transaction.emit(Rung(2))
    assert heard == [(1, 0), (2, 0)], "others see nothing of it yet"
    assert await count(database) == 2


async def test_what_fails_at_once_undoes_all(database: Database) -> None:
    async def fail(tx: Tx, event: Any) -> None:
        raise ZeroDivisionError

    async def ring() -> None:
        async with database.write() as tx:
            tx.emit(Rung(1))

    database.record_events = Outbox({}, {Rung: [fail]})
    with pytest.raises(ZeroDivisionError):
        await ring()
    assert await count(database) == 0


async def test_what_is_done_at_once_may_say_what_happened_too(database: Database) -> None:
    """And that is written with the rest."""

    async def answer(tx: Tx, event: Any) -> None:
        if event.times > 1:
            tx.emit(Rung(event.times - 1))

    database.record_events = Outbox({}, {Rung: [answer]})
    async with database.write() as tx:
        tx.emit(Rung(3))
    assert await count(database) == 3

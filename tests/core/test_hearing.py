"""Events that are heard many at a time: each once, and one that cannot be heard holds up no other."""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from veza.core import hearing
from veza.core.db import Database, Tx
from veza.core.events import Event, EventJob, Outbox
from veza.core.hearing import Heard, Hearer
from veza.core.jobs import JobKind


class Rung(Event, frozen=True):
    kind: ClassVar[str] = "bell.rung"
    times: int


TOGETHER = JobKind("bells.hear", EventJob, together=True)


async def ring(database: Database, *times: int) -> None:
    async with database.write() as tx:
        for one in times:
            tx.emit(Rung(one))


async def kept(database: Database) -> tuple[int, int]:
    """How many are queued, and how many jobs there are."""
    query = "SELECT (SELECT COUNT(*) FROM event_queue), (SELECT COUNT(*) FROM jobs WHERE kind = 'bells.hear')"
    queued, jobs = (await database.rows(query))[0]
    return queued, jobs


async def test_each_is_heard_once_with_its_piece(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """X3: queued with what happened or not at all; struck off with its effect or not at all."""
    monkeypatch.setattr(hearing, "PIECE", 3)
    database.record_events = Outbox({Rung: [TOGETHER]})
    pieces: list[list[str]] = []
    broken = False

    async def hear_all(tx: Tx, heard: Sequence[Heard]) -> None:
        pieces.append([one.data for one in heard])
        if broken:
            raise ZeroDivisionError

    hearer = Hearer(database, TOGETHER, hear_all)
    assert await hearer.hear() is None
    tx = database.write()
    await database.record_events(tx, [Rung(0)])
    await tx.close()
    assert await kept(database) == (0, 0)
    await ring(database, 1, 2, 3, 4)
    for _ in range(2):
        assert await hearer.hear() is not None
    assert await hearer.hear() is None
    assert pieces == [[f'{{"times":{n}}}' for n in (1, 2, 3)], ['{"times":4}']]
    # Where a piece fails, each of its events is tried alone, with the patience of a job.
    broken = True
    await ring(database, 5, 6)
    await hearer.hear()
    assert await kept(database) == (0, 2)
    payloads = await database.rows("SELECT payload FROM jobs WHERE kind = 'bells.hear' ORDER BY id")
    assert ['"times":5' in payloads[0][0], '"times":6' in payloads[1][0]] == [True, True]

"""What is gathered: each is told what became of it, whatever becomes of those beside it."""

import asyncio
from collections.abc import Sequence

from tests.core.things import add, names, store
from veza.core.db import Database, Tx
from veza.core.errors import Conflict, DatabaseBusy, NotFound, VezaError
from veza.core.gathering import MOST, Gatherer

__all__ = ["store"]


class Keeper:
    """Keeps names, and fails with some of them."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def keep_all(self, tx: Tx, batch: Sequence[str]) -> Sequence[str | VezaError]:
        """Keep what is no mistake; of what it fails with nothing is kept, as of what stands beside it."""
        self.batches.append(len(batch))
        outcomes: list[str | VezaError] = []
        for name in batch:
            if name == "refused":
                outcomes.append(NotFound())
                continue
            await add(tx, name)
            if name == "mistake":
                raise OverflowError
            if name == "clash":
                raise Conflict
            if name == "busy":
                raise DatabaseBusy
            outcomes.append(name.upper())
        return outcomes


async def ask(database: Database, keeper: Keeper, *wanted: str) -> list[str | BaseException]:
    """What becomes of these, which come at once."""
    gatherer = Gatherer(database, keeper.keep_all, "test")
    return await asyncio.gather(*(gatherer.keep(name) for name in wanted), return_exceptions=True)


async def test_a_mistake_is_borne_by_one_alone(store: Database) -> None:
    """T23: those beside it are kept, each once and in their order, by a few transactions more."""
    keeper, fine = Keeper(), [f"n{number:03}" for number in range(MOST - 3)]
    told = await ask(store, keeper, *fine[:40], "mistake", *fine[40:70], "refused", "clash", *fine[70:])
    at = {40: OverflowError, 71: NotFound, 72: Conflict}
    assert [type(one) for one in told] == [at.get(place, str) for place in range(MOST)]
    assert [one for one in told if isinstance(one, str)] == [name.upper() for name in fine]
    assert await names(store) == fine
    # Two ways down from 128 to one, the first of them shared.
    assert keeper.batches[0] == MOST
    assert len(keeper.batches) == 1 + 2 + 2 * 6 * 2


async def test_what_concerns_all_is_told_to_all(store: Database) -> None:
    """G35: a database that is busy is not asked again for each of those who wait."""
    keeper = Keeper()
    told = await ask(store, keeper, "a", "busy", "b")
    assert [type(one) for one in told] == [DatabaseBusy] * 3
    assert (keeper.batches, await names(store)) == ([3], [])
    assert await ask(store, keeper, "a") == ["A"]

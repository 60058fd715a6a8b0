"""Views of one moment: whole, in pieces, and given back whatever becomes of who reads them."""

import asyncio

import pytest

from tests.core.things import ADD, COUNT, FROM_NUMBER, HEAVY_COUNT, RENAME, add, names, row, store
from veza.core.db import Database
from veza.core.db.sqlite import READERS
from veza.core.db.sqlite_tx import SnapshotTx
from veza.core.ids import new_id

__all__ = ["store"]


async def test_a_snapshot_sees_one_moment(store: Database) -> None:
    """Whatever is committed between its statements, light or heavy; and it is given back, come what may."""
    for turn in range(12):  # more often than there are connections
        async with store.snapshot() as view:
            assert await view.first(HEAVY_COUNT if turn % 2 else COUNT) == turn
            async with store.write() as tx:
                await add(tx, f"thing {turn}")
            assert await view.first(COUNT) == await view.first(HEAVY_COUNT) == turn
            assert len(await names(store)) == turn + 1
            with pytest.raises(TypeError, match="only reads"):
                await view.run(RENAME, thing_id=new_id(), new="b")
        view = store.snapshot()
        reading = asyncio.create_task(view.first(HEAVY_COUNT))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await view.close()


async def test_a_long_list_is_read_in_pieces(store: Database) -> None:
    """U8, G25: of one moment, whole, in order; a reader that is left in the middle is given back."""
    made = [row(f"thing {turn:03}", number=turn) for turn in range(250)]
    async with store.write() as tx:
        await tx.run_many(ADD, made)
    for _ in range(4):
        async with store.snapshot(apart=True) as view:
            assert await view.first(COUNT) == 250
            async with store.write() as tx:
                await tx.run(RENAME, thing_id=made[249]["id"], new="renamed")
            pieces = [piece async for piece in view.pieces(FROM_NUMBER, least=40)]
            assert [len(piece) for piece in pieces] == [100, 100, 10]
            found = [one for piece in pieces for one in piece]
            assert found == await view.all(FROM_NUMBER, least=40)
            assert [one.number for one in found] == list(range(40, 250))
        async with store.snapshot(apart=True) as view:
            async for piece in view.pieces(FROM_NUMBER, least=0):
                assert len(piece) == 100
                break
    async with store.read() as view:
        with pytest.raises(TypeError, match="only a snapshot"):
            await anext(view.pieces(FROM_NUMBER, least=0))


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_an_interrupt_that_comes_late_leaves_no_reader_in_the_past(store: Database) -> None:
    """A caller goes away when its thread has just ended: what is half read is stopped, and ROLLBACK too."""
    async with store.write() as tx:
        await tx.run_many(ADD, [row(f"thing {turn:03}", number=turn) for turn in range(250)])
    for turn in range(READERS + 1):
        async with store.snapshot(apart=True) as view:
            assert isinstance(view, SnapshotTx)
            reading = view.pieces(FROM_NUMBER, least=0)
            await anext(reading)
            assert view._connection is not None
            view._connection.interrupt()
        async with store.write() as tx:
            await add(tx, f"later {turn}")
        async with store.snapshot() as view:
            assert await view.first(HEAVY_COUNT) == 251 + turn


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_list_that_is_left_in_the_middle_leaves_no_reader_in_the_past(store: Database) -> None:
    """ROLLBACK ends the transaction, and not what is half read, which goes on seeing its moment."""
    async with store.write() as tx:
        await tx.run_many(ADD, [row(f"thing {turn:03}", number=turn) for turn in range(250)])
    left = []
    for _ in range(READERS):
        view = store.snapshot(apart=True)
        left.append(view.pieces(FROM_NUMBER, least=0))
        await anext(left[-1])
        await view.close()
    async with store.write() as tx:
        await add(tx, "later")
    async with store.snapshot() as one, store.snapshot() as other, store.snapshot() as third:
        assert [await view.first(HEAVY_COUNT) for view in (one, other, third)] == [251] * 3
    for reading in left:
        await reading.aclose()

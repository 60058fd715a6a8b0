"""Transactions and statements mean the same on both databases."""

# ruff: noqa: PT012 - what must raise is a whole transaction

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
import sqlalchemy as sa

from tests.core.things import (
    ADD,
    ALL,
    AMONG_IDS,
    AMONG_NAMES,
    COUNT,
    HEAVY_COUNT,
    NAMES,
    REMOVE,
    RENAME,
    Thing,
    add,
    names,
    row,
    store,
    things,
)
from veza.core.db import Database, Statement, Tx, UniqueViolation, open_database
from veza.core.errors import Conflict
from veza.core.events import Event
from veza.core.ids import new_id

__all__ = ["store"]


@pytest.fixture
async def other(store: Database, database_url: str) -> AsyncIterator[Database]:
    """A second way into the same database, as another process has."""
    opened = open_database(database_url)
    yield opened
    await opened.close()


class Boom(Exception):
    pass


# ── whole or not at all ────────────────────────────────────────────────────────────────────────────────


async def test_what_was_committed_is_there_for_others(store: Database, other: Database) -> None:
    async with store.write() as tx:
        await add(tx, "a")
    assert await names(other) == ["a"]


async def test_an_exception_undoes_everything(store: Database) -> None:
    with pytest.raises(Boom):
        async with store.write() as tx:
            await add(tx, "a")
            await add(tx, "b")
            raise Boom
    assert await names(store) == []


async def test_a_transaction_that_is_closed_without_a_commit_is_undone(store: Database) -> None:
    tx = store.write()
    await add(tx, "a")
    await tx.close()
    await tx.close()
    assert await names(store) == []
    with pytest.raises(RuntimeError, match="over"):
        await tx.commit()
    with pytest.raises(RuntimeError, match="over"):
        await add(tx, "b")


async def test_a_second_commit_has_nothing_to_do(store: Database) -> None:
    async with store.write() as tx:
        await add(tx, "a")
        await tx.commit()
        with pytest.raises(RuntimeError, match="over"):
            await add(tx, "b")
    assert await names(store) == ["a"]


async def test_a_view_sees_what_is_committed_and_nothing_else(store: Database) -> None:
    async with store.read() as view:
        async with store.write() as tx:
            await add(tx, "a")
            assert await tx.first(COUNT) == 1
            assert await view.first(COUNT) == 0
        assert await view.first(COUNT) == 1
    with pytest.raises(RuntimeError, match="over"):
        await view.first(COUNT)


async def test_a_view_only_reads(store: Database) -> None:
    async with store.read() as view:
        with pytest.raises(TypeError, match="only reads"):
            await view.run(REMOVE)
        with pytest.raises(TypeError, match="only reads"):
            await view.run_many(ADD, [row("a")])


async def test_a_failed_statement_ends_its_transaction(store: Database) -> None:
    """Else one database would keep what came before the failure, and the other would not."""
    with pytest.raises(RuntimeError, match="only be undone"):
        async with store.write() as tx:
            await add(tx, "a")
            with pytest.raises(UniqueViolation):
                await add(tx, "A")
            with pytest.raises(RuntimeError, match="only be undone"):
                await tx.first(COUNT)
    assert await names(store) == []


async def test_a_second_transaction_within_one_is_refused(store: Database) -> None:
    async with store.write() as tx:
        await add(tx, "a")
        async with store.write() as inner:
            with pytest.raises(RuntimeError, match="in the middle of another"):
                await add(inner, "b")
        await add(tx, "c")
    async with store.write() as tx:
        await add(tx, "d")
    assert await names(store) == ["a", "c", "d"]
    assert not store.writing


async def test_it_holds_nothing_before_its_first_statement(store: Database) -> None:
    many = [store.write() for _ in range(30)] + [store.read() for _ in range(30)]
    async with store.write() as tx:
        await add(tx, "a")
    for one in many:
        await one.close()


async def test_a_view_that_is_over_holds_nothing(store: Database) -> None:
    """Although whoever it answered has not read it to its end."""
    over = [store.read() for _ in range(30)]
    async with asyncio.timeout(30):
        for one in over:
            assert await one.all(NAMES) == []
            await one.commit()
    for one in over:
        await one.close()


# ── callbacks and notices ──────────────────────────────────────────────────────────────────────────────


async def test_callbacks_run_once_and_only_after_the_commit(store: Database) -> None:
    told: list[str] = []
    async with store.write() as tx:
        await add(tx, "a")
        tx.on_commit(lambda: told.append("a"))
        assert told == []
    assert told == ["a"]
    with pytest.raises(Boom):
        async with store.write() as tx:
            await add(tx, "b")
            tx.on_commit(lambda: told.append("b"))
            raise Boom
    assert told == ["a"]


async def test_a_callback_that_fails_changes_nothing_for_anybody(store: Database) -> None:
    told: list[str] = []

    async def write(name: str) -> None:
        async with store.write() as tx:
            await add(tx, name)
            tx.on_commit(lambda: told.append(str(1 / (name != "b"))))
            tx.on_commit(lambda: told.append(name))

    async with asyncio.timeout(30):
        await asyncio.gather(*map(write, "abc"))
    assert sorted(told) == ["1.0", "1.0", "a", "b", "c"]
    assert await names(store) == ["a", "b", "c"]


async def test_a_notice_wakes_after_the_commit(store: Database) -> None:
    woken: list[str] = []
    store.listen("here", lambda: woken.append("here"))
    async with store.write() as tx:
        await add(tx, "a")
        tx.notify("here")
        tx.notify("here")
        assert woken == []
    assert woken == ["here"]
    async with store.write() as tx:
        tx.notify("here")
    assert woken == ["here", "here"]


class Said(Event, frozen=True):
    kind = "said"
    what: str


async def test_events_are_recorded_before_the_commit_and_undone_with_it(store: Database) -> None:
    async def record(tx: Tx, events: list[Event]) -> None:
        for event in events:
            assert isinstance(event, Said)
            await add(tx, event.what)

    store.record_events = record
    async with store.write() as tx:
        tx.emit(Said("a"))
    with pytest.raises(Boom):
        async with store.write() as tx:
            await add(tx, "b")
            tx.emit(Said("c"))
            raise Boom
    with pytest.raises(UniqueViolation):
        async with store.write() as tx:
            await add(tx, "d")
            tx.emit(Said("A"))
    assert await names(store) == ["a"]


# ── cancellation ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("steps", range(14))
async def test_a_caller_may_go_away_at_any_moment(store: Database, steps: int) -> None:
    """Cancelled after so many turns of the loop: both rows or none, and the next one is not held up."""

    async def write() -> None:
        async with store.write() as tx:
            await add(tx, "a")
            await asyncio.sleep(0)
            await add(tx, "b")

    async def neighbour() -> None:
        async with store.write() as tx:
            await add(tx, "n")

    beside = asyncio.create_task(neighbour())
    task = asyncio.create_task(write())
    for _ in range(steps):
        await asyncio.sleep(0)
    if store.dialect == "postgresql":
        await asyncio.sleep(steps * 0.0003)
    task.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait([task])
        await beside
        async with store.write() as tx:
            await add(tx, "z")
    found = await names(store)
    assert found in (["n", "z"], ["a", "b", "n", "z"])
    assert not store.writing
    assert task.cancelled() or found == ["a", "b", "n", "z"]


async def test_who_waits_and_goes_away_takes_no_turn(store: Database) -> None:
    async with store.write() as tx:
        await add(tx, "a")
        waiting = [asyncio.create_task(_write_one(store, name)) for name in "bcd"]
        await asyncio.sleep(0.01)
        waiting[1].cancel()
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await asyncio.wait(waiting)
    assert set(await names(store)) >= {"a", "b", "d"}


async def _write_one(database: Database, name: str) -> None:
    async with database.write() as tx:
        await add(tx, name)


async def test_callbacks_run_although_the_caller_went_away_during_the_commit(store: Database) -> None:
    told: list[str] = []

    async def write() -> None:
        async with store.write() as tx:
            await add(tx, "a")
            tx.on_commit(lambda: told.append("a"))
            asyncio.get_running_loop().call_soon(task.cancel)  # the commit is then under way

    task = asyncio.create_task(write())
    await asyncio.wait([task])
    async with asyncio.timeout(30):
        while not told:  # noqa: ASYNC110 - nobody is left to tell
            await asyncio.sleep(0.001)
        async with store.write() as tx:
            await add(tx, "z")
    assert told == ["a"]
    assert await names(store) == ["a", "z"]


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_violated_constraint_has_the_same_name_everywhere(store: Database) -> None:
    async with store.write() as tx:
        thing_id = await add(tx, "a", number=1)
    for second, constraint in (
        (row("b", id=thing_id), "pk_things"),
        (row("A", number=2), "uq_things_folded"),
    ):
        with pytest.raises(UniqueViolation) as caught:
            async with store.write() as tx:
                await tx.run(ADD, **second)
        assert caught.value.constraint == constraint
    drop = "DROP INDEX uq_things_folded"
    await store.script(drop)
    with pytest.raises(UniqueViolation) as caught:
        async with store.write() as tx:
            await add(tx, "a", number=1)
    assert caught.value.constraint == "uq_things_name_number"


async def test_a_missing_parent_is_a_conflict(store: Database) -> None:
    with pytest.raises(Conflict) as caught:
        async with store.write() as tx:
            await add(tx, "a", parent_id=new_id())
    assert type(caught.value) is Conflict


# ── statements ─────────────────────────────────────────────────────────────────────────────────────────


async def test_values_come_back_as_they_went(store: Database) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC)
    before = datetime(1969, 12, 31, 23, 59, 59, 1, UTC)
    late = datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)
    rows = [
        row("full", number=2**63 - 1, at=moment, data={"ü": [1, 2.5, None, "\u2028'\""]}),
        row("early", number=-(2**63), at=before, data=[]),
        row("late", number=0, at=late, data="text"),
        row("empty"),
        row("zone", at=moment.astimezone(None), data=False),
    ]
    async with store.write() as tx:
        await tx.run_many(ADD, rows)
    async with store.read() as view:
        found = await view.all(ALL)
    assert found == [Thing(**made) for made in rows]
    assert {thing.at.tzinfo for thing in found if thing.at} == {UTC}
    assert msgspec.json.decode(msgspec.json.encode(found[0].id), type=UUID) == rows[0]["id"]
    assert hash(found[0].id) == hash(rows[0]["id"])


async def test_a_naive_time_is_refused(store: Database) -> None:
    with pytest.raises(Exception, match="naive"):
        async with store.write() as tx:
            await add(tx, "a", at=datetime(2024, 1, 1))  # noqa: DTZ001 - the point


@pytest.mark.parametrize("count", [0, 1, 1000])
async def test_a_list_of_any_length_is_one_parameter(store: Database, count: int) -> None:
    rows = [row(f"n{number:04}") for number in range(count)] + [row("other")]
    async with store.write() as tx:
        await tx.run_many(ADD, rows)
    wanted = [made["id"] for made in rows[:count]]
    async with store.read() as view:
        assert [thing.id for thing in await view.all(AMONG_IDS, ids=wanted)] == wanted
        assert len(await view.all(AMONG_NAMES, names=[made["name"] for made in rows[:count]])) == count


async def test_how_many_rows_changed(store: Database) -> None:
    async with store.write() as tx:
        first = await add(tx, "a")
        await add(tx, "b")
        assert await tx.run(RENAME, thing_id=first, new="c") == 1
        assert await tx.run(RENAME, thing_id=new_id(), new="c") == 0
        assert await tx.run(REMOVE) == 2
        assert await tx.first(NAMES) is None


async def test_a_statement_is_compiled_once(store: Database) -> None:
    async with store.read() as view:
        await view.all(NAMES)
    first = getattr(NAMES, "sqlite" if store.dialect == "sqlite" else "postgres")
    async with store.read() as view:
        await view.all(NAMES)
    assert getattr(NAMES, "sqlite" if store.dialect == "sqlite" else "postgres") is first


class Other(msgspec.Struct):
    name: str
    id: UUID


@pytest.mark.parametrize(
    "wrong",
    [
        Statement(sa.select(things.c.id, things.c.name), Other),
        Statement(sa.select(things.c.id), Other),
        Statement(sa.select(things.c.id, things.c.name), str),
        Statement(sa.text("SELECT name FROM things"), str),
    ],
)
async def test_columns_that_do_not_fit_the_rows_are_an_error(
    store: Database, wrong: Statement[object]
) -> None:
    async with store.read() as view:
        with pytest.raises(TypeError):
            await view.all(wrong)


async def test_constants_none_included_are_part_of_a_statement(store: Database) -> None:
    clear: Statement[None] = Statement(sa.update(things).values(number=None, data={"a": 1}, at=None))
    async with store.write() as tx:
        await add(tx, "a", number=5, at=datetime.now(UTC) - timedelta(days=1))
        assert await tx.run(clear) == 1
        found = await tx.first(ALL)
    assert found is not None
    assert (found.number, found.at, found.data) == (None, None, {"a": 1})


async def test_a_missing_parameter_is_an_error_and_undoes(store: Database) -> None:
    with pytest.raises(KeyError):
        async with store.write() as tx:
            await add(tx, "a")
            await tx.run(RENAME, new="b")
    assert await names(store) == []


async def test_heavy_statements_see_the_same(store: Database) -> None:
    async with store.write() as tx:
        await add(tx, "a")
        assert await tx.first(HEAVY_COUNT) == 1

    async def count() -> int | None:
        async with store.read() as view:
            return await view.first(HEAVY_COUNT)

    assert await asyncio.gather(*(count() for _ in range(20))) == [1] * 20


async def test_it_answers(store: Database) -> None:
    """Also when asked many times at once, beside writers."""
    await asyncio.gather(*(store.check() for _ in range(20)), *(_write_one(store, name) for name in "abc"))
    assert await names(store) == ["a", "b", "c"]


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_version_of_a_table_moves_with_what_may_have_changed_it(store: Database) -> None:
    """Known by the statement, however it is written; whatever is not known may have changed anything."""

    def now() -> tuple[int | None, int | None]:
        return store.version(["things"]), store.version(["others"])

    insert = "INSERT INTO things (id, name) VALUES (:id, :name)"
    kinds = {"id": things.c.id.type, "name": sa.Text()}
    text = sa.text(insert).bindparams(*(sa.bindparam(name, type_=kind) for name, kind in kinds.items()))
    writing: list[Statement[None]] = [
        RENAME,
        Statement(text),
        Statement(
            sa.insert(things).from_select(["id", "name"], sa.select(things.c.id, things.c.name).limit(0))
        ),
    ]
    async with store.write() as tx:
        await add(tx, "one")
    before = now()
    async with store.read() as view:
        assert await view.all(NAMES) == ["one"]
    async with store.write() as tx:
        assert await tx.all(NAMES) == ["one"]
    assert now() == before
    for count, statement in enumerate(writing, 1):
        async with store.write() as tx:
            await tx.run(statement, thing_id=new_id(), new="two", id=new_id(), name=f"{count}")
        assert now() == (before[0] + count, before[1]), statement
    with pytest.raises(RuntimeError, match="no"):
        async with store.write() as tx:
            await tx.run(REMOVE)
            raise RuntimeError("no")
    assert now() == (before[0] + len(writing), before[1])
    before = now()
    async with store.write() as tx:
        await tx.run(Statement(sa.text("WITH gone AS (SELECT 1) DELETE FROM things")))
    assert now() == (before[0] + 1, before[1] + 1)

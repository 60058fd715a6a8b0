"""From token to member: what is remembered, for how long, and what it costs."""

import asyncio
from datetime import timedelta
from time import thread_time
from timeit import timeit

import pytest

from tests.rooms.sessions_house import House, house
from veza.core import clock
from veza.core.db import Database
from veza.core.errors import InvalidToken
from veza.rooms.sessions import authenticator as module
from veza.rooms.sessions import store
from veza.rooms.sessions.authenticator import Authenticator

__all__ = ["house"]

ALONE = pytest.mark.parametrize("dialect", ["sqlite"])
SHARED = pytest.mark.parametrize("dialect", ["postgresql"])


async def test_who_is_found(house: House) -> None:
    """A28: the member is the database's, with the session of the token."""
    ann = house.client()
    await ann.register("ann")
    member = await house.authenticator.authenticate(ann.access)
    assert (member.username, member.role, member.email_verified) == ("ann", "user", False)
    assert member.session_id == house.tokens.read_access(ann.access).sid


@ALONE
async def test_a_remembered_token_costs_next_to_nothing(house: House) -> None:
    """A7: a token seen before is a look-up: less work than 300 turns of a loop that does nothing."""
    ann = house.client()
    await ann.register("ann")
    token = ann.access
    assert house.authenticator.cached(token) is None
    member = await house.authenticator.authenticate(token)
    assert house.authenticator.cached(token) == member
    look_ups, turns = list[float](), list[float]()
    for _ in range(200):
        look_ups.append(timeit(lambda: house.authenticator.cached(token), timer=thread_time, number=50))
        turns.append(timeit(timer=thread_time, number=300 * 50))
    assert min(look_ups) < min(turns)


@SHARED
async def test_where_others_write_nothing_is_remembered(house: House) -> None:
    """A21: another node may have ended the session; so the row is asked each time."""
    ann = house.client()
    await ann.register("ann")
    await house.authenticator.authenticate(ann.access)
    assert house.authenticator.cached(ann.access) is None
    other_node = Authenticator(house.database, house.tokens)
    await other_node.authenticate(ann.access)
    await ann.post("/sessions/logout")
    with pytest.raises(InvalidToken):
        await other_node.authenticate(ann.access)


@ALONE
async def test_memory_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """G19: however many tokens there are, so many are remembered; the oldest go."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    ann = house.client()
    await ann.register("ann")
    claims = house.tokens.read_access(ann.access)
    tokens = [house.tokens.issue_access(claims.sub, claims.sid, "user") for _ in range(5)]
    for token in tokens:
        await house.authenticator.authenticate(token)
    assert [house.authenticator.cached(token) is not None for token in tokens] == [
        False,
        False,
        True,
        True,
        True,
    ]


@ALONE
async def test_what_was_read_before_a_revocation_is_not_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: an answer from the database that is overtaken by a revocation is not kept."""
    ann = house.client()
    await ann.register("ann")
    claims = house.tokens.read_access(ann.access)
    find = store.find_asker

    async def find_and_lose_the_race(*args: object) -> object:
        found = await find(*args)  # type: ignore[arg-type]  # passed on as they came
        async with house.database.write() as tx:
            await store.revoke(tx, claims.sub, claims.sid)
            tx.on_commit(lambda: house.authenticator.forget_session(claims.sid))
        return found

    monkeypatch.setattr(store, "find_asker", find_and_lose_the_race)
    await house.authenticator.authenticate(ann.access)
    monkeypatch.undo()
    assert house.authenticator.cached(ann.access) is None
    with pytest.raises(InvalidToken):
        await house.authenticator.authenticate(ann.access)


@pytest.mark.usefixtures("still")
async def test_activity_is_written_once_a_minute(house: House) -> None:
    """S6: not on the request, at most once a minute for each session, and seen in the list."""
    ann = house.client()
    await ann.register("ann")
    writes = 0
    write = house.database.write

    def counted() -> object:
        nonlocal writes
        writes += 1
        return write()

    house.database.write = counted  # type: ignore[method-assign,assignment]  # counts what it passes on
    seen = set()
    for seconds in (0, 20, 40, 65, 80, 100, 130):
        with clock.shifted(timedelta(seconds=seconds)):
            for _ in range(5):
                assert await ann.me() == 200
            before = writes
            await house.authenticator.flush()
            await house.authenticator.flush()
            assert writes - before <= 1
            seen.add((await ann.get("/sessions")).json()["data"]["sessions"][0]["last_activity"])
    assert len(seen) == 3
    assert writes == 2


async def test_activity_is_written_at_the_end(house: House) -> None:
    """S6: what was not yet written when the server stops is written then."""
    ann = house.client()
    await ann.register("ann")
    running = asyncio.create_task(house.authenticator.run())
    await asyncio.sleep(0)
    with clock.shifted(timedelta(minutes=5)):
        await ann.me()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        [one] = (await ann.get("/sessions")).json()["data"]["sessions"]
    assert one["last_activity"] > one["created_at"]


async def test_activity_of_the_forgotten_is_kept(database: Database, house: House) -> None:
    """S6: a token that falls out of the memory takes nothing with it."""
    ann = house.client()
    await ann.register("ann")
    with clock.shifted(timedelta(minutes=5)):
        await ann.me()
        house.authenticator.forget_all()
        await house.authenticator.flush()
        async with database.read() as view:
            asker = await store.find_asker(view, house.tokens.read_access(ann.access).sid)
    assert asker is not None
    assert asker.last_activity > asker.expires_at - timedelta(days=30)

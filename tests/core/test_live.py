"""The live bus: told after the commit, to whoever is quick enough, here and in other processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.store import Store
from veza.core import live_relay
from veza.core.db import Database
from veza.core.live import (
    MAX_BYTES,
    MISSED,
    QUEUE,
    Ended,
    Hint,
    Live,
    Subscription,
    SubscriptionEnded,
    open_live,
)
from veza.rooms.likes import store as likes


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has the time that it takes to answer, and to be heard."""
    for name in ("_SECONDS", "SILENCE_SECONDS"):
        monkeypatch.setattr(live_relay, name, 30.0)


async def test_what_is_undone_is_never_told(database: Database) -> None:
    """A hint goes out once its transaction is durable, in the order of the commits, or not at all."""
    live = Live()
    with live.subscribe(["user:1"]) as heard:
        undone = database.write()
        await likes.forget(undone, _ID, 1)
        live.publish_after(undone, "user:1", {"n": 0})
        await undone.close()
        for n in (1, 2):
            async with database.write() as tx:
                await likes.forget(tx, _ID, 1)
                live.publish_after(tx, "user:1", {"n": n})
                live.publish_after(tx, "user:2", {"n": n})
                assert await heard.next(0) is None
            assert await _number(heard) == n
        assert await heard.next(0) is None
        with pytest.raises(ValueError, match="read from the database"):
            live.publish_after(database.write(), "user:1", "x" * MAX_BYTES)
    live.publish("user:1", {"n": 3})
    assert live._topics == {}


async def test_whoever_is_too_slow_or_outlives_the_process_is_told_why() -> None:
    """H5: what waits is bounded; a subscription that is over says so after what was heard before."""
    live = Live()
    slow, quick = live.subscribe(["a"]), live.subscribe(["a", "b"])
    for n in range(QUEUE + 1):
        live.publish("a", {"n": n})
        assert await quick.next(0) is not None
    with pytest.raises(SubscriptionEnded) as ended:
        await slow.next()
    assert ended.value.why is Ended.TOO_SLOW
    quick.leave("a")
    live.publish("a", {"n": 0})
    live.publish("b", {"n": 1})
    waiting = asyncio.create_task(live.subscribe(["c"]).next())
    await asyncio.sleep(0)
    live.close()
    assert await _number(quick) == 1
    for over in (quick.next(), waiting, live.subscribe(["a"]).next()):
        with pytest.raises(SubscriptionEnded) as ended:
            await over
        assert ended.value.why is Ended.STOPPING
    assert live._topics == {}


async def test_processes_hear_each_other_and_of_what_they_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is away each process goes on by itself; once it is back all look again."""
    monkeypatch.setattr(live_relay, "_RETRY_SECONDS", 0.05)
    async with _two(tmp_path) as (one, other):
        with one.subscribe(["room:1"]) as here, other.subscribe(["room:1"]) as there:
            with Store(tmp_path):
                assert await here.next(30) is await there.next(30) is MISSED  # once they hear
                for n in range(3):
                    one.publish("room:1", {"n": n})
                assert [await _number(here) for _ in range(3)] == [0, 1, 2]
                assert [await _number(there) for _ in range(3)] == [0, 1, 2]
                other.publish("room:2", {"n": 3})
                other.publish("room:1", {"n": 4})
                assert await _number(here) == await _number(there) == 4
            one.publish("room:1", {"n": 5})
            assert await _number(here) == 5
            with Store(tmp_path):
                assert await here.next(30) is MISSED
                assert await there.next(30) is MISSED
                other.publish("room:1", {"n": 6})
                while (hint := await here.next(30)) is MISSED:
                    pass
                assert _read(hint) == 6


async def test_a_channel_that_falls_silent_is_dialled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own beat comes back to each process; one that hears nothing does not trust its connection."""
    monkeypatch.setattr(live_relay, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(live_relay, "SILENCE_SECONDS", 0.1)
    with Store(tmp_path):
        async with _two(tmp_path) as (one, _):
            with one.subscribe(["a"]) as here:
                assert [await here.next(30), await here.next(30)] == [MISSED, MISSED]
                monkeypatch.setattr(live_relay, "BEAT_SECONDS", 0.02)
                one.publish("a", {"n": 1})  # and from then on beats
                while await here.next(0.5) is not None:
                    pass  # hears for longer than it would have borne silence


async def test_it_ends_in_whatever_moment_it_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X13: also while it dials, greets the store, subscribes or sends: a turn of the loop later each time."""
    monkeypatch.setattr(live_relay, "_AGAIN_SECONDS", 0.01)
    with Store(tmp_path):
        for turns in range(30):
            async with asyncio.timeout(30), open_live(f"unix://{tmp_path}/s").running():
                for _ in range(turns):
                    await asyncio.sleep(0)


_ID = live_relay.new_id()


@asynccontextmanager
async def _two(folder: Path) -> AsyncIterator[tuple[Live, Live]]:
    one, other = (open_live(f"unix://{folder}/s") for _ in range(2))
    async with one.running(), other.running():
        yield one, other


async def _number(heard: Subscription) -> int:
    return _read(await heard.next(30))


def _read(hint: Hint | None) -> int:
    assert hint is not None
    return hint.read(dict[str, int])["n"]

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.store import Store
from veza.core import clock, valkey
from veza.core.backoff import Backoff, SharedBackoff, open_backoff
from veza.core.errors import PayloadTooLarge, RateLimited, Unavailable
from veza.core.limits import (
    Limit,
    Limiter,
    PersonalLimit,
    SharedLimiter,
    Standing,
    address_key,
    open_limiter,
    parse_limit,
)
from veza.core.recent import MOST_KEYS, Recent
from veza.core.repeats import open_repeats
from veza.core.valkey import Valkey, store_key

LIMIT = Limit("test", 5, 60)
PATIENCE = valkey._SECONDS


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch, still: None) -> None:
    """No time passes but in the store, which is there and has all the time that it takes to answer."""
    monkeypatch.setattr(valkey, "_SECONDS", 30.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    with Store(tmp_path_factory.mktemp("valkey")) as store:
        yield store.url


@pytest.fixture(params=["process", "shared"])
async def limiter(request):
    made = open_limiter(request.getfixturevalue("server") if request.param == "shared" else None)
    yield made
    await made.close()


@pytest.fixture(params=["process", "shared"])
async def backoff(request):
    made = open_backoff("login", request.getfixturevalue("server") if request.param == "shared" else None)
    yield made
    await made.close()


@pytest.fixture(params=["process", "shared"])
async def repeats(request):
    made = open_repeats(request.getfixturevalue("server") if request.param == "shared" else None)
    yield made
    await made.close()


def fresh() -> str:
    fresh.count += 1
    return f"key-{fresh.count}"


fresh.count = 0


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [
        ("100/min", 100, 60),
        ("5/minute", 5, 60),
        ("3/hour", 3, 3600),
        ("10 / h", 10, 3600),
        ("10/15min", 10, 900),
        ("1/Day", 1, 86400),
        ("20/10 seconds", 20, 10),
    ],
)
def test_limits_as_operators_write_them(text, count, seconds):
    assert parse_limit("x", text, strict=True) == Limit("x", count, seconds, strict=True)


@pytest.mark.parametrize(
    "text", ["", "100", "0/min", "-1/min", "1/0min", "5/year", "5/min/h", "٣/min", "5.5/min", "1e3/s"]
)
def test_limits_that_are_none(text):
    with pytest.raises(ValueError, match="is not a rate"):
        parse_limit("x", text)


async def test_exactly_so_many_pass_in_a_burst(limiter):
    """G17: 200 at once, 100 pass."""
    limit, key = Limit("burst", 100, 60), fresh()
    standings = await asyncio.gather(*(limiter.hit(limit, key) for _ in range(200)))
    assert sum(standing.allowed for standing in standings) == 100
    assert sorted(standing.remaining for standing in standings) == [0] * 101 + list(range(1, 100))
    now = clock.now().timestamp()
    for standing in standings:
        assert standing.limit == 100
        assert 30 < standing.reset_unix - now < 62
        assert (30 < standing.retry_after <= 60) is not standing.allowed


async def test_keys_and_limits_are_counted_apart(limiter):
    key = fresh()
    for _ in range(5):
        assert (await limiter.hit(LIMIT, key)).allowed
    assert not (await limiter.hit(LIMIT, key)).allowed
    assert (await limiter.hit(LIMIT, fresh())).allowed
    assert (await limiter.hit(Limit("other", 5, 60), key)).allowed


async def test_what_weighs_more_takes_more(limiter):
    """G17, Y3: exactly as much passes as fits; what is refused takes nothing, and lighter still may."""
    limit, key = Limit("bytes", 1_000, 60), fresh()
    assert (await limiter.hit(limit, key, 600)).remaining == 400
    refused = await limiter.hit(limit, key, 401)
    assert (refused.allowed, refused.remaining, 30 < refused.retry_after <= 60) == (False, 400, True)
    standings = await asyncio.gather(*(limiter.hit(limit, key, 100) for _ in range(7)))
    assert sum(standing.allowed for standing in standings) == 4
    assert not (await limiter.hit(limit, key)).allowed


async def test_what_would_never_pass_is_no_matter_of_waiting(limiter):
    """Y3: 413, where 429 would have it tried again for ever; without limits nothing is counted."""
    personal, who = PersonalLimit(limiter, Limit("bytes", 1_000, 60)), uuid4()
    with pytest.raises(PayloadTooLarge):
        await personal.take(who, 1_001, "Too much.")
    await personal.take(who, 1_000, "Too much.")
    with pytest.raises(RateLimited, match="Too much") as refused:
        await personal.take(who, 1, "Too much.")
    assert 30 < int(refused.value.headers["Retry-After"]) <= 60
    await personal.take(uuid4(), 1, "Too much.")
    await PersonalLimit(limiter, None).take(who, 1_001, "Too much.")


async def test_a_window_ends():
    """G17: after the time that Retry-After says, all of the limit is there again."""
    limiter, key = Limiter(), fresh()
    for _ in range(6):
        standing = await limiter.hit(LIMIT, key)
    assert standing == Standing(5, 0, standing.reset_unix, allowed=False, retry_after=60)
    with clock.shifted(timedelta(seconds=59)):
        assert limiter.hit_now(LIMIT, key).retry_after == 1
    with clock.shifted(timedelta(seconds=standing.retry_after)):
        assert [limiter.hit_now(LIMIT, key).allowed for _ in range(6)] == [True] * 5 + [False]


async def test_a_shared_window_ends(server):
    """By the store's own clock, which ends all of it at once."""
    limiter, limit, key = open_limiter(server), Limit("short", 2, 60), fresh()
    assert [(await limiter.hit(limit, key)).allowed for _ in range(3)] == [True, True, False]
    store = Valkey(server)
    name = store_key("limit", "short", key)
    assert 30_000 < await store._client.pttl(name) <= 60_000
    await store._client.pexpire(name, 1)
    async with asyncio.timeout(30):
        while await store._client.exists(name):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    assert [(await limiter.hit(limit, key)).allowed for _ in range(3)] == [True, True, False]
    await store.close()
    await limiter.close()


async def test_processes_count_together(server):
    """G17: two of them let no more pass than one."""
    one, two, key = open_limiter(server), open_limiter(server), fresh()
    standings = await asyncio.gather(*((one, two)[n % 2].hit(LIMIT, key) for n in range(20)))
    assert sum(standing.allowed for standing in standings) == 5
    await one.close()
    await two.close()


async def test_without_the_store_reads_go_on_and_logins_wait(tmp_path):
    """G19: ordinary limits are counted alone, strict ones refuse, and only the first waits for the store."""
    limiter = SharedLimiter(Valkey(f"unix://{tmp_path}/nobody"))
    key = fresh()
    assert [(await limiter.hit(LIMIT, key)).allowed for _ in range(6)] == [True] * 5 + [False]
    with pytest.raises(Unavailable):
        await limiter.hit(Limit("login", 5, 60, strict=True), key)
    backoff = SharedBackoff("login", Valkey(f"unix://{tmp_path}/nobody"))
    with pytest.raises(Unavailable):
        await backoff.check(key)
    await limiter.close()
    await backoff.close()


async def test_a_store_that_hangs_is_waited_for_once(tmp_path, monkeypatch):
    """G19: a request is held up half a second at most, twice, and the next ones not at all."""
    monkeypatch.setattr(valkey, "_SECONDS", PATIENCE)
    opened: list[asyncio.StreamWriter] = []
    hanging = await asyncio.start_unix_server(lambda _, writer: opened.append(writer), tmp_path / "s")
    limiter = SharedLimiter(Valkey(f"unix://{tmp_path}/s"))
    async with asyncio.timeout(30):
        assert (await limiter.hit(LIMIT, "k")).allowed
    limiter._store._scripts.clear()
    monkeypatch.setattr(limiter._store._client, "register_script", None)  # nobody can ask it any more
    for _ in range(4):
        assert (await limiter.hit(LIMIT, "k")).allowed
    await limiter.close()
    hanging.close()
    for writer in opened:
        writer.close()
    assert (PATIENCE, 1 <= len(opened) <= 2) == (0.5, True)


async def test_the_store_is_used_again_when_it_is_back(tmp_path):
    with clock.shifted(timedelta()):
        limiter = SharedLimiter(Valkey(f"unix://{tmp_path}/s"))
        assert (await limiter.hit(LIMIT, "k")).remaining == 4
    with Store(tmp_path):
        with clock.shifted(timedelta(seconds=2)):
            assert (await limiter.hit(Limit("strict", 5, 60, strict=True), "k")).remaining == 4
        await limiter.close()


async def test_no_address_lies_in_the_store(server):
    """D5: keys may be e-mail addresses; the store sees digests."""
    limiter = open_limiter(server)
    await limiter.hit(LIMIT, "anna@example.org")
    store = Valkey(server)
    names = await store._client.keys("*")
    assert names
    assert not [name for name in names if b"anna" in name]
    await store.close()
    await limiter.close()


def test_what_answers_say():
    standing = Standing(100, 95, 1640995200, allowed=True, retry_after=0)
    assert dict(standing.headers) == {
        b"x-ratelimit-limit": b"100",
        b"x-ratelimit-remaining": b"95",
        b"x-ratelimit-reset": b"1640995200",
    }


@pytest.mark.parametrize(
    ("ip", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:0207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002::/64"),
        ("2001:DB8:1:2::", "20010db800010002::/64"),
        ("2001:db8:1:3::1", "20010db800010003::/64"),
        ("fe80::1%eth0", "fe80000000000000::/64"),
        ("", ""),
        ("testclient", "testclient"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_what_counts_as_one_address(ip, key):
    """G18: a /64, and one bucket for both spellings of an IPv4 address."""
    assert address_key(ip) == key


def test_memory_stays_bounded_with_very_many_addresses():
    """G19: a flood of addresses costs a fixed amount of memory."""
    limiter = Limiter()
    for number in range(150_000):
        limiter.hit_now(LIMIT, f"{number:x}::/64")
    assert len(limiter._windows["test"]) <= 2 * MOST_KEYS


def test_who_keeps_coming_is_not_forgotten_in_a_flood():
    """G19: the flood does not wash away the counts of those who are limited."""
    limiter = Limiter()
    for number in range(3 * MOST_KEYS):
        limiter.hit_now(LIMIT, str(number))
        if number % 1000 == 0:
            standing = limiter.hit_now(LIMIT, "flooder")
    assert not standing.allowed


def test_what_is_kept_lives_as_long_as_it_must_and_little_longer():
    kept: Recent[int] = Recent(10)
    for start in range(0, 100, 7):
        key = str(start)
        assert kept.find(key, start) is None
        kept.put(key, start)
        assert kept.find(key, start + 6.9) == start
    assert len(kept) <= 4
    kept.find("x", 1000)
    assert len(kept) == 0


async def test_the_same_words_again_and_again_are_too_many(repeats):
    """Three times in half a minute, wherever; other words begin anew, and a retry is no repetition."""
    key = fresh()
    assert [await repeats.say(key, "buy", None) for _ in range(3)] == [0, 0, 0]
    assert 0 < await repeats.say(key, "buy", None) <= 30
    assert [await repeats.say(key, "sell", "mark") for _ in range(9)] == [0] * 9
    said = [await repeats.say(key, "sell", mark) for mark in ("other", "other", None, "mark")]
    assert said[:3] == [0, 0, 0]
    assert said[3] > 0
    assert await repeats.say(fresh(), "sell", None) == 0


async def test_repetitions_are_counted_together_or_alone(server):
    """Every process knows what another heard; without the store each goes by itself."""
    one, other = open_repeats(server), open_repeats(server)
    key = fresh()
    assert [await who.say(key, "buy", None) for who in (one, other, one)] == [0, 0, 0]
    assert await other.say(key, "buy", None) > 0
    alone = open_repeats("redis://127.0.0.1:1")
    assert [await alone.say(key, "buy", None) > 0 for _ in range(4)] == [False] * 3 + [True]
    for who in (one, other, alone):
        await who.close()


async def test_ten_failures_slow_an_account_down(backoff, monkeypatch):
    """A9: never locked for good: each wait is known, and at most five minutes."""
    monkeypatch.setattr("veza.core.backoff._FIRST", 200)  # for the store's clock goes on
    key = fresh()
    for number in range(1, 11):
        assert await backoff.check(key) == 0
        assert await backoff.fail(key) == number
    assert 150 < await backoff.check(key) <= 200
    assert await backoff.fail(key) == 10
    assert await backoff.check(fresh()) == 0
    await backoff.succeed(key)
    assert await backoff.check(key) == 0
    assert await backoff.fail(key) == 1


async def test_guesses_at_once_gain_nothing(backoff, monkeypatch):
    """A10: from a thousand addresses, all before the first has failed."""
    monkeypatch.setattr("veza.core.backoff._FIRST", 200)  # as above
    key = fresh()
    waits = await asyncio.gather(*(backoff.check(key) for _ in range(100)))
    assert waits.count(0) == 10


async def test_waits_double_up_to_five_minutes():
    """A9: exponential delay."""
    backoff, later, waits = Backoff("login"), timedelta(), []
    for _ in range(9):
        assert await backoff.check("k") == 0
    for _ in range(12):
        with clock.shifted(later):
            assert await backoff.check("k") == 0
            wait = await backoff.check("k")
            waits.append(wait)
            later += timedelta(seconds=wait)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


async def test_shared_waits_double_too(server, monkeypatch):
    monkeypatch.setattr("veza.core.backoff._FIRST", 200)
    backoff, key = open_backoff("login", server), fresh()
    for _ in range(10):
        assert await backoff.check(key) == 0
    assert 150 < await backoff.check(key) <= 200
    store = Valkey(server)
    for name in await store._client.keys("veza:backoff:*"):
        await store._client.hset(name, "until", 0)
    assert await backoff.check(key) == 0
    assert 250 < await backoff.check(key) <= 300
    await store.close()
    await backoff.close()


async def test_failures_are_forgotten_after_a_quarter_of_an_hour():
    backoff = Backoff("login")
    for _ in range(9):
        await backoff.check("k")
    with clock.shifted(timedelta(minutes=15)):
        assert await backoff.check("k") == 0
        assert await backoff.fail("k") == 1
    with contextlib.suppress(KeyError):
        assert await backoff.fail("unknown") == 0


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_wall_clock_that_jumps_opens_no_window(monkeypatch, jump):
    """A27: limits and waits are counted by the clock that never jumps."""
    limiter, backoff = Limiter(), Backoff("login")
    for _ in range(LIMIT.count):
        assert (await limiter.hit(LIMIT, "ann")).allowed
    for _ in range(10):
        assert await backoff.check("ann") == 0
    present = clock.now()
    monkeypatch.setattr(clock, "now", lambda: present + jump)
    assert not (await limiter.hit(LIMIT, "ann")).allowed
    assert await backoff.check("ann") > 0

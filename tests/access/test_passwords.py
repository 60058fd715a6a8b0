import asyncio
import os
import statistics
import sys
import threading
import time
from pathlib import Path

import argon2
import pytest

from veza.access import passwords
from veza.access.passwords import MEMORY_KIB, PasswordHasher, check_password
from veza.core.background import NICENESS, NICEST
from veza.core.errors import Unavailable
from veza.core.text import BadValue

RIGHT = "a quiet room in Lyon"


linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel as Linux answers")


@pytest.fixture
def hasher():
    made = PasswordHasher()
    yield made
    made.close()


@pytest.mark.parametrize(
    "password",
    [
        "SecurePassword123!",
        "plum rivers at dusk",
        "twelve chars",
        "ALLCAPSNODIGITS",
        "738291650284",
        "хороший пароль, длинный",
        "🎵🎶🎷🎸🎹🎺🎻🥁🎤🎧📻🎼",
        "lantern " * 2 + "x" * 12 + "orchard window",
        "the quick brown fox jumps over the lazy dog and then goes on for quite some time until there",
        "é" * 4 + "ab cd efgh" * 11 + "ijkl mn",
    ],
)
def test_passwords_that_are_taken(password):
    """A5: from 12 to 128 characters, spaces and any script included, and no rules of composition."""
    check_password(password, "marcel", "marcel.aymé@example.com")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "x",
        "secret7",
        "elevenchars",
        "e\u0301" * 11,
        "aaaaaaaaaaaa",
        "123456789012",
        "098765432109",
        "121212111212",
        "abcdefghijkl",
        "passwordpassword",
        "Password1234!",
        "P4$$w0rd1234!",
        "Summer2024!!",
        "iloveyouforever",
        "qwertyuiop12",
        "1qaz2wsx3edc",
        "1q2w3e4r5t6y",
        "zxcvbnm,./zxcvbnm,./",
        "correct horse battery staple",
        "ManchesterUnited1",
        "hunter2hunter2",
        "x7Kq!x7Kq!x7Kq!",
        "            ",
    ],
)
def test_passwords_that_a_guesser_tries_first(password):
    """A5: short, common, walked along the keyboard or repeated ones are 422 PASSWORD_WEAK."""
    with pytest.raises(BadValue) as caught:
        check_password(password, "marcel", "marcel@example.com")
    assert caught.value.code == "PASSWORD_WEAK"


@pytest.mark.parametrize(
    "password",
    ["johndoe-is-here", "my name: JOHN.DOE", "J0hnD03 forever x", "eodnhoj forwards", "jd.music2 is me"],
)
def test_passwords_like_the_account(password):
    """A5: a password must not hold the username or the e-mail's local part, in whatever disguise."""
    with pytest.raises(BadValue, match="like your username") as caught:
        check_password(password, "john_doe", "jd.music2+veza@example.com")
    assert caught.value.code == "PASSWORD_WEAK"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("ab cd efgh" * 12 + "ijkl mno ", "PASSWORD_TOO_LONG"),
        ("x" * 1_000_000, "PASSWORD_TOO_LONG"),
        ("a\u0301\u0323" * 300_000, "PASSWORD_TOO_LONG"),
        ("plum rivers\x00 at dusk", "INVALID_CHARACTER"),
        ("plum rivers\ud800 at dusk", "INVALID_CHARACTER"),
    ],
)
def test_passwords_that_cannot_be_hashed(password, code):
    """A5, G8: what is too long or no text is refused before any work is done."""
    started = time.thread_time()
    with pytest.raises(BadValue) as caught:
        check_password(password, "marcel", "marcel@example.com")
    assert caught.value.code == code
    assert time.thread_time() - started < 0.1


async def test_a_hash_says_how_it_was_made(hasher):
    """A7: Argon2id with 19 MiB, 2 passes, 1 lane, and a salt of its own."""
    one, other = await hasher.hash(RIGHT), await hasher.hash(RIGHT)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert await hasher.verify(one, RIGHT) == passwords.Verdict(ok=True, needs_rehash=False)
    assert not (await hasher.verify(one, RIGHT + " ")).ok


async def test_every_character_counts(hasher):
    """A6: two passwords with the same first 72 bytes are two passwords."""
    stored = await hasher.hash("ab cd efgh" * 8 + "one")
    assert (await hasher.verify(stored, "ab cd efgh" * 8 + "one")).ok
    assert not (await hasher.verify(stored, "ab cd efgh" * 8 + "two")).ok


async def test_accents_may_be_typed_either_way(hasher):
    """G8: composed and decomposed letters are the same password."""
    assert (await hasher.verify(await hasher.hash("caf\u00e9 de la gare"), "cafe\u0301 de la gare")).ok


async def test_older_parameters_are_noticed(hasher):
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(RIGHT)
    assert await hasher.verify(old, RIGHT) == passwords.Verdict(ok=True, needs_rehash=True)
    assert await hasher.verify(old, "wrong") == passwords.Verdict(ok=False)


async def test_an_unknown_account_is_computed_like_a_known_one(hasher, monkeypatch):
    """A8: by one run of argon2 with the parameters of a real hash, which alone say what it costs."""
    stored = await hasher.hash(RIGHT)
    computed = []
    for name in ("hash", "verify"):
        compute = getattr(argon2.PasswordHasher, name)

        def counted(self, given, *rest, name=name, compute=compute):
            computed.append((name, given))
            return compute(self, given, *rest)

        monkeypatch.setattr(argon2.PasswordHasher, name, counted)
    for known, tried in ((stored, "wrong"), (None, "wrong"), (stored, "x" * 5000), (None, "x" * 5000)):
        computed.clear()
        assert not (await hasher.verify(known, tried)).ok
        [(name, against)] = computed
        assert (name, argon2.extract_parameters(against)) == ("verify", argon2.extract_parameters(stored))


@pytest.mark.parametrize("tried", [RIGHT, "", "\ud800", "\x00", "x" * 1_000_000])
async def test_an_unknown_account_has_no_password(hasher, tried):
    """A8, G8: nothing matches where there is no account, and no input is an error."""
    assert await hasher.verify(None, tried) == passwords.Verdict(ok=False)
    assert not (await hasher.verify("", tried)).ok
    assert not (await hasher.verify("not a hash", tried)).ok


async def test_an_unknown_account_costs_as_much_as_a_known_one(hasher):
    """A8: one full computation in either case; told by the thread's own time, which load does not disturb."""
    stored = await hasher.hash(RIGHT)
    cases = {"known": (stored, "wrong"), "unknown": (None, "wrong"), "long": (stored, "x" * 5000)}
    took = {case: [] for case in cases}

    def measure(case):
        started = time.thread_time()
        hasher._verify(*cases[case])
        took[case].append(time.thread_time() - started)

    for _ in range(15):
        for case in cases:
            await hasher._run(lambda case=case: measure(case))
    known = statistics.median(took["known"])
    assert known > 0.005
    for case in ("unknown", "long"):
        assert 0.7 < statistics.median(took[case]) / known < 1.4


def resident():
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@linux
async def test_parallel_logins_take_turns(hasher, monkeypatch):
    """A7: 100 at once hold the memory of one permit at a time, and the event loop goes on."""
    monkeypatch.setattr(passwords, "LONGEST_WAIT", 300.0)
    await hasher.hash(RIGHT)
    before, most, turns = resident(), 0, 0
    mine, all_of_us = time.thread_time(), time.process_time()
    logins = asyncio.gather(*(hasher.verify(None, f"wrong {n}") for n in range(100)))
    while not logins.done():
        await asyncio.sleep(0.005)
        most, turns = max(most, resident()), turns + 1
    await logins
    mine, all_of_us = time.thread_time() - mine, time.process_time() - all_of_us
    assert most - before <= 2 * MEMORY_KIB * 1024
    # Told by what the loop's thread had to do itself, which load does not disturb.
    assert mine < all_of_us / 4
    assert turns > 10


async def test_too_many_logins_are_turned_away(hasher, monkeypatch):
    """A7: the queue is bounded; beyond it the answer is 503, and afterwards all is well."""
    monkeypatch.setattr(passwords, "MOST_WAITING", 3)
    found = await asyncio.gather(*(hasher.verify(None, "wrong") for _ in range(5)), return_exceptions=True)
    refused = [error for error in found if isinstance(error, Unavailable)]
    assert len(refused) == 2
    assert refused[0].status == 503
    assert refused[0].headers["Retry-After"]
    assert not (await hasher.verify(None, "wrong")).ok


async def test_a_hash_that_has_begun_is_waited_for(hasher, monkeypatch):
    """A7: however busy the machine is, who comes alone gets in; who waits behind them is turned away."""
    monkeypatch.setattr(passwords, "LONGEST_WAIT", 0.01)
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        may_end.wait()
        return "hashed"

    submit = hasher._pool.submit

    def submit_and_see(work):
        item = submit(work)
        begun.wait()
        return item

    monkeypatch.setattr(hasher._pool, "submit", submit_and_see)
    first = asyncio.create_task(hasher._run(slow))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await hasher.hash(RIGHT)
    assert (hasher._in_hand, first.done()) == (1, False)
    may_end.set()
    assert await first == "hashed"
    assert hasher._in_hand == 0


async def test_a_client_that_leaves_frees_its_place(hasher):
    """A7, G28: a cancelled login that still waits is never computed."""
    waiting = [asyncio.create_task(hasher.verify(None, "wrong")) for _ in range(100)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    started = time.process_time()
    await hasher.hash(RIGHT)
    assert time.process_time() - started < 1.5
    assert hasher._in_hand == 0


@pytest.mark.skipif(
    not hasattr(os, "sched_getscheduler"), reason="threads have their own priority on Linux only"
)
async def test_hashing_gives_way_to_the_event_loop(hasher):
    """A7: only the hashing thread has the lower priority."""
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    niced = await hasher._run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert niced == min(mine + NICENESS, NICEST)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine

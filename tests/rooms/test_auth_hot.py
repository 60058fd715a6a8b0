"""Logins that are answered from the edge: as the ordinary route answers, and one at a time."""

import asyncio
import threading
from typing import Any

import pytest

from tests.core.asking import ask
from tests.rooms.sessions_house import PASSWORD, House, house
from veza.access import passwords
from veza.core.errors import Unavailable
from veza.core.turns import Turns
from veza.rooms.sessions.hot import ROUTE

__all__ = ["house"]

# Leaves a login to the ordinary route; nothing is kept for it, since logins create nothing of the caller's.
ORDINARY = {"Idempotency-Key": "the long way"}
BODIES: list[bytes] = [
    b'{"email":"ann-leek@example.com","password":"%b"}' % PASSWORD.encode(),
    b'{"email":"ann-leek@example.com","password":"not this one"}',
    b'{"email":"nobody@example.com","password":"not this one"}',
    b'{"email":"ann-leek@example.com"}',
    b'{"email":"ann-leek@example.com","password":"x","role":"admin"}',
    b'{"email":"ann-leek@example.com","password":"x","password":"y"}',
    b'{"email":',
    b"[]",
    b"\xff",
]


async def test_both_ways_answer_alike(house: House) -> None:
    """A8, G6, G7: status, body and headers, but for what is each answer's own."""
    await house.move_in("ann-leek")
    http = house.client().http
    for body in BODIES:
        headers = {"Content-Type": "application/json", "X-Request-ID": "one-and-the-same"}
        at_edge = await http.post("/auth/login", content=body, headers=headers)
        by_route = await http.post("/auth/login", content=body, headers=headers | ORDINARY)
        assert _plain(at_edge) == _plain(by_route), body


def _plain(answer: Any) -> Any:
    told, headers = answer.json(), dict(answer.headers)
    if answer.is_success:
        assert told["data"]["token"].pop("access_token") != told["data"]["token"].pop("refresh_token")
        headers.pop("content-length")
    return answer.status_code, told, headers


async def test_who_left_is_passed_over(house: House) -> None:
    """A7, G28, X16: no password is hashed for whom nobody can answer any more, and no session begins."""
    await house.move_in("ann-leek")
    told = ("content-type", "application/json"), ("content-length", str(len(BODIES[0])))
    # Nothing but the body comes from this caller, and then the end of the connection.
    left = await ask(house.edge, "POST", ROUTE, *told, body=BODIES[0])
    assert (left.status, left.error) == (400, "INVALID_REQUEST")
    assert (house.hasher.verified, await house.count()) == (0, (0, 0))
    assert (await house.client().log_in("ann-leek")).status_code == 200


async def test_one_at_a_time_and_in_order() -> None:
    """A7, X16: who comes first goes first, and who comes when too many wait is told so at once."""
    turns, order, at_once = Turns(2), list[int](), 0

    async def come(number: int) -> None:
        nonlocal at_once
        async with turns:
            at_once += 1
            assert at_once == 1
            await asyncio.sleep(0)
            order.append(number)
            at_once -= 1

    coming = [asyncio.create_task(come(number)) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await come(3)
    await asyncio.gather(*coming)
    await come(4)
    assert order == [0, 1, 2, 4]


async def test_nobody_waits_longer_than_clients_do() -> None:
    """A7, X16: who would have given up is turned away, and nobody loses a turn by that."""
    turns = Turns(2, seconds=0.01)
    async with turns:
        for _ in range(3):  # more than may wait at once
            with pytest.raises(Unavailable) as refused:
                await turns.__aenter__()
            assert refused.value.headers["Retry-After"]
    async with turns:
        pass


async def test_a_login_that_waits_too_long_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A7, X16: at the edge and by the route alike; its password is not hashed then, and no session begins."""
    await house.move_in("ann-leek")
    at_work = threading.Event()
    house.hasher._pool.submit(at_work.wait)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(passwords, "LONGEST_WAIT", 0.01)
            for more in ({}, ORDINARY):
                headers = {"Content-Type": "application/json"} | more
                late = await house.client().http.post("/auth/login", content=BODIES[0], headers=headers)
                assert (late.status_code, late.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
                assert late.headers["Retry-After"] == "5"
    finally:
        at_work.set()
    assert await house.count() == (0, 0)
    assert (await house.client().log_in("ann-leek")).status_code == 200


async def test_who_leaves_takes_no_turn() -> None:
    """A7: a caller who gives up while waiting keeps nobody else from a turn."""
    turns = Turns(1)
    async with turns:
        waiting = asyncio.create_task(turns.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        follower = asyncio.create_task(turns.__aenter__())
        await asyncio.sleep(0)
        assert not follower.done()
    await follower
    await turns.__aexit__()

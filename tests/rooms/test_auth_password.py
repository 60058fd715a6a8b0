"""A new password: by the old one, or by a link in a mail."""

import asyncio
from datetime import timedelta

import pytest

from tests.rooms.sessions_house import (
    BASE_URL,
    NEW_PASSWORD,
    PASSWORD,
    House,
    code_of,
    detail_of,
    house,
    open_house,
)
from veza.core import clock
from veza.core.db import Database
from veza.core.limits import parse_limit

__all__ = ["house"]

NEW = {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}


async def link_for(house: House, name: str = "ann") -> str:
    """Ask for a link; its token."""
    answer = await house.client().post("/auth/password/forgot", email=f"{name}@example.com")
    assert answer.status_code == 200
    await house.work()
    return house.postbox.token()


async def test_changing_it_ends_the_other_sessions(house: House) -> None:
    """A18: this session stays, the others end at once; the new password counts; the owner is told."""
    ann, other = house.client(), house.client("192.0.2.2")
    await ann.register("ann")
    await other.log_in("ann")
    link = await link_for(house)
    assert await other.me() == 200
    assert (await ann.post("/auth/password/change", current_password=PASSWORD, **NEW)).status_code == 200
    assert [await ann.me(), await other.me()] == [200, 401]
    assert (await ann.refresh()).status_code == 200
    assert (await other.refresh()).status_code == 401
    assert (await other.log_in("ann")).status_code == 401
    assert (await other.log_in("ann", NEW_PASSWORD)).status_code == 200
    assert code_of(await ann.post("/auth/password/reset", token=link, **NEW)) == "TOKEN_INVALID"
    assert [event.data["by_mail"] for event in await house.happened("auth.password_changed")] == [False]
    await house.work()
    assert house.postbox.mails[-1].subject == "Your password was changed"


async def test_what_a_change_refuses(house: House) -> None:
    """A5: the old password must be right, the new one good."""
    ann = house.client()
    await ann.register("ann")
    for changes, detail in (
        ({"current_password": "wrong wrong wrong"}, ("current_password", "WRONG_PASSWORD")),
        ({"password_confirm": "something else"}, ("password_confirm", "PASSWORD_MISMATCH")),
        ({"password": "short", "password_confirm": "short"}, ("password", "PASSWORD_WEAK")),
        (
            {"password": "ann@example.com", "password_confirm": "ann@example.com"},
            ("password", "PASSWORD_WEAK"),
        ),
    ):
        answer = await ann.post("/auth/password/change", **({"current_password": PASSWORD} | NEW | changes))
        assert (answer.status_code, detail_of(answer)) == (422, detail)
    assert (await ann.log_in("ann")).status_code == 200


@pytest.mark.usefixtures("still")
async def test_a_found_session_cannot_guess_the_password(house: House) -> None:
    """A9: ten failures, then waits, here too."""
    ann = house.client()
    await ann.register("ann")
    form = {"current_password": "wrong wrong wrong"} | NEW
    statuses = [(await ann.post("/auth/password/change", **form)).status_code for _ in range(12)]
    assert statuses == [422] * 10 + [429] * 2


async def test_guesses_from_outside_keep_nobody_from_changing_it(house: House) -> None:
    """A9: nobody who is signed in is locked out of it by others."""
    ann, guesser = house.client(), house.client("198.51.100.1")
    await ann.register("ann")
    for _ in range(12):
        await guesser.log_in("ann", "wrong wrong wrong")
    answer = await ann.post("/auth/password/change", current_password=PASSWORD, **NEW)
    assert answer.status_code == 200


async def test_two_changes_at_once(house: House) -> None:
    """A18: one wins, and its password counts."""
    ann = house.client()
    await ann.register("ann")
    passwords = ["one quiet harbour here", "two quiet harbours here"]
    answers = await asyncio.gather(
        *(
            ann.post("/auth/password/change", current_password=PASSWORD, password=new, password_confirm=new)
            for new in passwords
        )
    )
    won = [answer.status_code == 200 for answer in answers]
    assert sum(won) == 1
    statuses = [(await house.client().log_in("ann", new)).status_code for new in passwords]
    assert statuses == [200 if one else 401 for one in won]


async def test_a_link_sets_a_new_password_once(house: House) -> None:
    """A26: the link is of the configured address, works once, ends every session, and lets its owner in."""
    ann = house.client()
    await ann.register("ann")
    answer = await ann.ask(
        "POST", "/auth/password/forgot", json={"email": "ANN@example.com"}, headers={"host": "evil.example"}
    )
    assert answer.status_code == 200
    await house.work()
    [mail] = house.postbox.mails
    assert f"{BASE_URL}/reset-password?token=" in mail.text
    assert "evil" not in mail.text + mail.html
    token = house.postbox.token()
    both = await asyncio.gather(
        *(house.client().post("/auth/password/reset", token=token, **NEW) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in both) == [200, 400]
    assert await ann.me() == 401
    assert (await ann.log_in("ann", NEW_PASSWORD)).status_code == 200
    assert [event.data["by_mail"] for event in await house.happened("auth.password_changed")] == [True]


async def test_bad_links(house: House) -> None:
    """A23, A26: wrong, expired or used → 400 TOKEN_INVALID, one message, and no password is hashed."""
    ann = house.client()
    await ann.register("ann")
    used = await link_for(house)
    assert (await ann.post("/auth/password/reset", token=used, **NEW)).status_code == 200
    late = await link_for(house)
    hashed = house.hasher.hashed
    for token in ("", "x", "a" * 50_000, used, late):
        with clock.shifted(timedelta(minutes=61)):
            answer = await ann.post("/auth/password/reset", token=token, **NEW)
        assert (answer.status_code, code_of(answer)) == (400, "TOKEN_INVALID")
        assert answer.json()["error"]["message"] == "This link is not valid, or no longer; ask for a new one."
    assert house.hasher.hashed == hashed
    assert (await ann.post("/auth/password/reset", token=late, **NEW)).status_code == 200


async def test_a_weak_password_leaves_the_link_good(house: House) -> None:
    """A26: whoever has to think again does not need another mail."""
    ann = house.client()
    await ann.register("ann")
    token = await link_for(house)
    weak = await ann.post("/auth/password/reset", token=token, password="short", password_confirm="short")
    assert (weak.status_code, detail_of(weak)) == (422, ("password", "PASSWORD_WEAK"))
    assert (await ann.post("/auth/password/reset", token=token, **NEW)).status_code == 200


async def test_nobody_learns_who_has_an_account(house: House) -> None:
    """A25: unknown and known → the same answer, the same work; only the job finds out."""
    await house.move_in("ann")
    seen = set()
    for name in ("ann", "nobody"):
        before = len(await house.jobs())
        answer = await house.client().post("/auth/password/forgot", email=f"{name}@example.com")
        head = dict(answer.headers) | dict.fromkeys(("x-request-id", "x-ratelimit-reset"), "as it comes")
        seen.add(
            (answer.status_code, answer.text, str(sorted(head.items())), len(await house.jobs()) - before)
        )
    assert len(seen) == 1
    await house.work()
    assert [mail.to for mail in house.postbox.mails] == ["ann@example.com"]


@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_three_mails_an_hour(database: Database, name: str) -> None:
    """A25: no mailbox is flooded, from whatever addresses it is tried; counted for unknown ones too."""
    async with open_house(database, parse_limit("login", "5/min")) as house:
        await house.move_in("ann")
        askers = [house.client(f"198.51.100.{i}") for i in range(4)]
        answers = [await asker.post("/auth/password/forgot", email=f"{name}@example.com") for asker in askers]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429]
        left = [answer.headers["x-ratelimit-remaining"] for answer in answers]
        assert left == ["2", "1", "0", "0"], "the answers speak of the limit that was met"
        with clock.shifted(timedelta(minutes=61)):
            assert (
                await askers[0].post("/auth/password/forgot", email=f"{name}@example.com")
            ).status_code == 200


@pytest.mark.usefixtures("still")
async def test_a_link_ends_the_slowness(house: House) -> None:
    """A9: an owner who was slowed by somebody's guesses gets in at once by a link."""
    await house.move_in("ann")
    guesser, ann = house.client("198.51.100.1"), house.client()
    for _ in range(12):
        await guesser.log_in("ann", "wrong wrong wrong")
    assert (await ann.log_in("ann")).status_code == 429
    token = await link_for(house)
    await ann.post("/auth/password/reset", token=token, **NEW)
    assert (await ann.log_in("ann", NEW_PASSWORD)).status_code == 200

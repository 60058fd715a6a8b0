"""Registering and signing in: who gets in, what a stranger learns, and what guessing costs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import argon2
import msgspec
import pytest

from tests.rooms.sessions_house import (
    NEW_PASSWORD,
    PASSWORD,
    House,
    code_of,
    detail_of,
    house,
    open_house,
    totp_code,
)
from veza.core import clock
from veza.core.db import Database
from veza.core.limits import parse_limit
from veza.rooms.sessions.means import Means

__all__ = ["house"]


async def test_registering_signs_in(house: House) -> None:
    """A1: 201 with the user and tokens that work; the mail is on its way and the event written."""
    ann = house.client()
    answer = await ann.register("Ann.Lee", email="Ann@EXAMPLE.com")
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["user"] == {"id": data["user"]["id"], "username": "Ann.Lee", "email": "Ann@example.com"}
    assert data["token"].keys() == {"access_token", "refresh_token", "expires_in"}
    me = (await ann.get("/auth/me")).json()["data"]
    assert me == data["user"] | {
        "role": "user",
        "email_verified": False,
        "two_factor_enabled": False,
        "created_at": me["created_at"],
    }
    assert [event.kind for event in await house.happened()] == ["auth.registered"]


# What is sent, and the field and the code of the answer.
BAD_REGISTRATIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"password_confirm": "another one here"}, "password_confirm", "PASSWORD_MISMATCH"),
    ({"password": "x"}, "password", "PASSWORD_WEAK"),
    ({"password": "password1234"}, "password", "PASSWORD_WEAK"),
    ({"password": "ann-leek-ann"}, "password", "PASSWORD_WEAK"),
    ({"password": "x1!" * 400}, "password", "PASSWORD_TOO_LONG"),
    ({"username": "admin"}, "username", "USERNAME_RESERVED"),
    ({"username": "\u0430nn-leek"}, "username", "USERNAME_INVALID"),
    ({"email": "a@b@c"}, "email", "EMAIL_INVALID"),
    ({"email": "ann@example.com\r\nBcc: x@example.com"}, "email", "EMAIL_INVALID"),
    ({"role": "admin"}, "role", "UNKNOWN_FIELD"),
    ({"id": 1}, "id", "UNKNOWN_FIELD"),
    ({"username": None}, "username", "INVALID"),
]


async def test_what_registering_refuses(house: House) -> None:
    """A3, A4, A5, G6, G7: bad names, addresses and passwords, and fields that are not the caller's to set."""
    for changes, field, code in BAD_REGISTRATIONS:
        confirm = {"password_confirm": changes["password"]} if "password" in changes else {}
        answer = await house.client().register("ann-leek", **(confirm | changes))
        assert (answer.status_code, *detail_of(answer)) == (422, field, code), changes
    assert await house.count() == (0, 0)


async def test_long_passwords_with_spaces_count_whole(house: House) -> None:
    """A5, A6: long ones are taken, and no character of them is ignored."""
    ann = house.client()
    for length in (64, 128):
        password = ("correct horse staple lantern quiet " * 4)[:length]
        assert (await ann.register(f"ann{length}", password)).status_code == 201
        assert (await ann.log_in(f"ann{length}", password)).status_code == 200
        assert (await ann.log_in(f"ann{length}", password[:-1] + "!")).status_code == 401
    assert (await ann.log_in("ann128", password[:72])).status_code == 401


async def test_what_is_taken(house: House) -> None:
    """A1, A3: an address or a name that is taken, however it is spelt → 409."""
    await house.client().register("ann-leek", email="ann@example.com")
    for changes, code in (
        ({"email": "ANN@Example.COM"}, "EMAIL_TAKEN"),
        ({"email": "ann@example.com."}, "EMAIL_TAKEN"),
        ({"username": "ANN-leek"}, "USERNAME_TAKEN"),
    ):
        answer = await house.client().register("other", **changes)
        assert (answer.status_code, code_of(answer)) == (409, code)


async def test_ten_at_once_make_one_account(house: House) -> None:
    """A2: of ten concurrent registrations one is made, with one session."""
    answers = await asyncio.gather(*(house.client().register("ann") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert await house.count() == (1, 1)


async def test_signing_in(house: House) -> None:
    """S10: user, tokens and `requires_2fa: false`; whatever session there was, the new one is new."""
    await house.move_in("ann")
    ann = house.client()
    data = (await ann.log_in("ann")).json()["data"]
    assert data.keys() == {"user", "token", "requires_2fa"}
    assert data["requires_2fa"] is False
    assert data["user"].keys() == {"id", "username", "email"}
    first = house.tokens.read_access(ann.access).sid
    await ann.log_in("ann")
    assert house.tokens.read_access(ann.access).sid != first
    assert len(await house.happened("auth.login")) == 2


async def test_unknown_and_wrong_are_alike(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A8: same status, body, headers, and number of password checks and of statements, for every account."""
    for name in ("ann", "banned"):
        user = await house.move_in(name)
    await house.suspend(user.id)
    careful = house.client()
    await careful.register("careful")
    secret = (await careful.post("/auth/2fa/setup")).json()["data"]["secret"]
    assert (await careful.post("/auth/2fa/enable", code=totp_code(secret))).status_code == 200
    seen, asked = set(), []
    async with house.database.read() as view, house.database.write() as tx:
        kinds = {type(view), type(tx)}
    for kind in kinds:
        for name in ("first", "all", "run", "run_many"):
            monkeypatch.setattr(kind, name, counted(getattr(kind, name), asked))
    for name in ("ann", "banned", "careful", "nobody"):
        house.hasher.verified = 0
        asked.clear()
        answer = await house.client().log_in(name, "wrong wrong wrong")
        head = {k: v for k, v in answer.headers.items() if k != "x-request-id"}
        seen.add(
            (answer.status_code, answer.text, str(sorted(head.items())), house.hasher.verified, len(asked))
        )
    [(status, body, _, verified, statements)] = seen
    assert statements > 0
    assert (status, verified) == (401, 1)
    assert "INVALID_CREDENTIALS" in body
    failures = await house.happened("auth.login_failed")
    assert [event.data["user_id"] is None for event in failures] == [False] * 3 + [True]


def counted(ask: Callable[..., Awaitable[Any]], asked: list[int]) -> Callable[..., Awaitable[Any]]:
    """The same, which is written down."""

    async def asks(*given: Any, **params: Any) -> Any:
        asked.append(1)
        return await ask(*given, **params)

    return asks


async def test_a_suspended_account(house: House) -> None:
    """A8, A18: only the right password learns of it; the tokens of before are refused."""
    user = await house.move_in("ann")
    ann = house.client()
    await ann.log_in("ann")
    assert await ann.me() == 200
    await house.suspend(user.id)
    assert await ann.me() == 401
    answer = await ann.log_in("ann")
    assert (answer.status_code, code_of(answer)) == (403, "ACCOUNT_SUSPENDED")
    assert [event.data["reason"] for event in await house.happened("auth.login_failed")] == ["suspended"]


@pytest.mark.usefixtures("still")
async def test_guessing_is_slowed_and_the_owner_told(house: House) -> None:
    """A9, A10: from many addresses; ten failures, then waits; written down, and mailed once."""
    await house.move_in("ann")
    guessers = [house.client(f"198.51.100.{i}") for i in range(14)]
    answers = [await guesser.log_in("ann", "wrong wrong wrong") for guesser in guessers]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 4
    assert code_of(answers[-1]) == "RATE_LIMITED"
    assert int(answers[-1].headers["retry-after"]) >= 1
    with clock.shifted(timedelta(minutes=2)):
        assert (await guessers[0].log_in("ann", "wrong wrong wrong")).status_code == 401
    assert len(await house.happened("auth.login_failed")) == 11
    assert len(await house.happened("auth.login_slowed")) == 1
    await house.work()
    [mail] = house.postbox.mails
    assert mail.to == "ann@example.com"
    assert "wrong passwords" in mail.text


@pytest.mark.usefixtures("still")
async def test_guessing_at_nobody_is_slowed_alike(house: House) -> None:
    """A8, A9: that an address is unknown does not show in the waits either; nobody is mailed."""
    answers = [await house.client(f"198.51.100.{i}").log_in("nobody", "wrong") for i in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    await house.work()
    assert house.postbox.mails == []


@pytest.mark.usefixtures("still")
async def test_nobody_is_locked_out(house: House) -> None:
    """A9: the owner gets in from a device that is signed in, at once; from a new one, after the wait."""
    await house.move_in("ann")
    ann, elsewhere = house.client("192.0.2.1"), house.client("192.0.2.7")
    guesser = house.client("198.51.100.1")
    await ann.log_in("ann")
    for _ in range(11):
        await guesser.log_in("ann", "wrong wrong wrong")
    assert (await elsewhere.log_in("ann")).status_code == 429
    assert (await ann.log_in("ann", "wrong wrong wrong")).status_code == 429
    assert (await ann.log_in("ann")).status_code == 200
    for _ in range(11):
        await guesser.log_in("ann", "wrong wrong wrong")
    with clock.shifted(timedelta(seconds=5)):
        assert (await elsewhere.log_in("ann")).status_code == 200


@pytest.mark.usefixtures("still")
async def test_limits_of_an_address(database: Database) -> None:
    """A1, A9, G17: five logins and five registrations a minute, each by itself, with headers on all."""
    async with open_house(database, parse_limit("login", "5/min")) as house:
        ann = house.client()
        for count in range(5):
            answer = await ann.register(f"ann{count}")
            assert answer.status_code == 201
            assert answer.headers["x-ratelimit-remaining"] == str(4 - count)
        answer = await ann.register("ann6")
        assert (answer.status_code, code_of(answer)) == (429, "RATE_LIMITED")
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert 0 < int(answer.headers["retry-after"]) <= 60
        statuses = [(await ann.log_in("ann0", "wrong wrong wrong")).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        assert (await house.client("192.0.2.2").log_in("ann0")).status_code == 200
        with clock.shifted(timedelta(seconds=61)):
            assert (await ann.log_in("ann0")).status_code == 200


async def test_old_hashes_are_made_anew(house: House) -> None:
    """A7: a change of the hash's parameters is taken up at the next login, also by several at once."""
    user = await house.move_in("ann")
    before = await house.password_hash(user.id)
    house.hasher._argon2 = argon2.PasswordHasher(1, 16, 1)
    answers = await asyncio.gather(*(house.client().log_in("ann") for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    after = await house.password_hash(user.id)
    assert after != before
    assert "m=16" in after
    await house.client().log_in("ann")
    assert await house.password_hash(user.id) == after


async def test_a_password_changed_meanwhile_is_wrong(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A18, S4: a login that checked the old password opens no session once there is a new one."""
    user = await house.move_in("ann")
    verify = house.hasher.verify

    async def verify_slowly(stored: str | None, password: str) -> Any:
        verdict = await verify(stored, password)
        await house.set_password(user.id, NEW_PASSWORD)
        return verdict

    monkeypatch.setattr(house.hasher, "verify", verify_slowly)
    answer = await house.client().log_in("ann")
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_CREDENTIALS")
    assert await house.count() == (0, 0)


async def test_nothing_secret_is_written_down(house: House) -> None:
    """A20, S5: no password, token or hash in any event or job."""
    ann = house.client()
    await ann.register("ann")
    await ann.log_in("ann", "wrong wrong wrong")
    await ann.log_in("ann")
    await ann.refresh()
    await ann.post("/auth/password/forgot", email="ann@example.com")
    kept = msgspec.json.encode([await house.happened(), await house.jobs()]).decode()
    for secret in (PASSWORD, "wrong wrong", ann.access, ann.refresh_token, "argon2"):
        assert secret not in kept


async def test_the_parts_show_no_secrets(house: House) -> None:
    """A20: what a log might print of an account holds no hash."""
    user = await house.move_in("ann")
    assert isinstance(house.means, Means)
    assert "argon2" not in repr(await house.account(user.id))

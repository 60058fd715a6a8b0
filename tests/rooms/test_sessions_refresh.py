"""Refresh tokens: one use, one successor, and what gives a thief away."""

import asyncio
from datetime import timedelta

import pytest

from tests.rooms.sessions_house import NEW_PASSWORD, PASSWORD, House, code_of, house
from veza.core import clock

__all__ = ["house"]


async def test_a_refresh_gives_a_new_pair_and_the_old_token_dies(house: House) -> None:
    """A15: the next pair works, the access token from before lives on, the old refresh token does not."""
    ann = house.client()
    await ann.register("ann")
    first, old_access = ann.refresh_token, ann.access
    answer = await ann.refresh()
    assert answer.status_code == 200
    assert answer.json()["data"].keys() == {"access_token", "refresh_token", "expires_in"}
    assert answer.json()["data"]["expires_in"] == 86400
    assert ann.refresh_token != first
    assert await ann.me() == 200
    ann.access = old_access
    assert await ann.me() == 200
    with clock.shifted(timedelta(seconds=11)):
        assert code_of(await ann.refresh(first)) == "REFRESH_REUSED"


async def test_a_token_that_comes_back_ends_its_session_and_tells_the_owner(house: House) -> None:
    """A16: reuse → 401, the family is gone, written down and mailed; then the newest are refused."""
    ann, elsewhere = house.client(), house.client("192.0.2.9")
    await ann.register("ann")
    await elsewhere.log_in("ann")
    stolen = ann.refresh_token
    await ann.refresh()
    with clock.shifted(timedelta(minutes=1)):
        answer = await elsewhere.refresh(stolen)
        assert (answer.status_code, code_of(answer)) == (401, "REFRESH_REUSED")
        assert "www-authenticate" in answer.headers
        assert await ann.me() == 401
        assert code_of(await ann.refresh()) == "INVALID_TOKEN"
        assert code_of(await ann.refresh(stolen)) == "INVALID_TOKEN"
        assert await elsewhere.me() == 200
    assert len(await house.happened("auth.refresh_reused")) == 1
    await house.work()
    [mail] = house.postbox.mails
    assert mail.to == "ann@example.com"
    assert "192.0.2.9" in mail.text
    assert stolen not in mail.text


async def test_two_at_once_get_the_same_successor(house: House) -> None:
    """A17: two tabs, one child."""
    ann = house.client()
    await ann.register("ann")
    token = ann.refresh_token
    answers = await asyncio.gather(*(ann.refresh(token) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1
    assert await house.count() == (1, 2)


@pytest.mark.usefixtures("still")
async def test_a_lost_answer_is_given_again_within_the_grace(house: House) -> None:
    """A19: after a crash between the commit and the answer, the client's retry works."""
    ann = house.client()
    await ann.register("ann")
    token = ann.refresh_token
    lost = (await ann.refresh(token)).json()["data"]["refresh_token"]
    with clock.shifted(timedelta(seconds=9)):
        again = (await ann.refresh(token)).json()["data"]["refresh_token"]
    assert again == lost
    assert (await ann.refresh(again)).status_code == 200


@pytest.mark.usefixtures("still")
async def test_a_clock_that_is_set_back_prolongs_no_grace(house: House) -> None:
    """A17, A27: by seconds, nobody is signed out; by an hour, what was used is not good for that long."""
    ann = house.client()
    await ann.register("ann")
    token = ann.refresh_token
    with clock.shifted(timedelta(seconds=9)):
        lost = (await ann.refresh(token)).json()["data"]["refresh_token"]
    assert (await ann.refresh(token)).json()["data"]["refresh_token"] == lost
    with clock.shifted(timedelta(hours=1)):
        assert (await ann.refresh(lost)).status_code == 200
    assert code_of(await house.client("192.0.2.9").refresh(lost)) == "REFRESH_REUSED"
    assert await ann.me() == 401


async def test_only_the_immediate_parent_is_forgiven(house: House) -> None:
    """A17: a grandparent inside the grace is reuse."""
    ann = house.client()
    await ann.register("ann")
    grandparent = ann.refresh_token
    await ann.refresh()
    await ann.refresh()
    assert code_of(await ann.refresh(grandparent)) == "REFRESH_REUSED"
    assert await ann.me() == 401


@pytest.mark.parametrize(("remember_me", "days"), [(False, 30), (True, 90)])
async def test_the_end_is_fixed_at_the_login(house: House, remember_me: bool, days: int) -> None:  # noqa: FBT001 - a row
    """A12: 30 or 90 days from the login, however often it is refreshed."""
    await house.move_in("ann")
    ann = house.client()
    await ann.log_in("ann", remember_me=remember_me)
    with clock.shifted(timedelta(days=days / 2)):
        assert (await ann.refresh()).status_code == 200
    with clock.shifted(timedelta(days=days) - timedelta(minutes=1)):
        assert (await ann.refresh()).status_code == 200
    with clock.shifted(timedelta(days=days, minutes=1)):
        assert code_of(await ann.refresh()) == "INVALID_TOKEN"
        assert await ann.me() == 401


@pytest.mark.parametrize("how", ["logout", "logout-all", "password", "reset", "suspended", "deleted"])
async def test_no_refresh_after_the_end(house: House, how: str) -> None:
    """A18: after a logout, a new password, a ban or the end of the account → 401, for both tokens."""
    user = await house.move_in("ann")
    ann, other = house.client(), house.client("192.0.2.2")
    await ann.log_in("ann")
    await other.log_in("ann")
    assert await other.me() == 200
    if how == "logout":
        assert (await other.post("/auth/logout", refresh_token=other.refresh_token)).status_code == 200
    elif how == "logout-all":
        assert (await ann.post("/sessions/logout-all")).status_code == 200
    elif how == "password":
        form = {"current_password": PASSWORD, "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
        assert (await ann.post("/auth/password/change", **form)).status_code == 200
    elif how == "reset":
        await ann.post("/auth/password/forgot", email="ann@example.com")
        await house.work()
        form = {"token": house.postbox.token(), "password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
        assert (await ann.post("/auth/password/reset", **form)).status_code == 200
    elif how == "suspended":
        await house.suspend(user.id)
    else:
        await house.delete(user.id)
    assert await other.me() == 401
    assert code_of(await other.refresh()) == "INVALID_TOKEN"


async def test_what_is_no_refresh_token_is_refused(house: House) -> None:
    """A15: anything else → 401 INVALID_TOKEN."""
    for token in ("", "x", "a" * 100_000, "\u00e9\ud7ff", "eyJhbGciOiJub25lIn0.e30."):
        answer = await house.client().post("/auth/refresh", refresh_token=token)
        assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")


async def test_an_access_token_does_not_refresh_and_the_other_way_round(house: House) -> None:
    """A13: each token for its own purpose."""
    ann = house.client()
    await ann.register("ann")
    assert code_of(await ann.refresh(ann.access)) == "INVALID_TOKEN"
    ann.access = ann.refresh_token
    assert await ann.me() == 401


async def test_the_database_holds_no_usable_token(house: House) -> None:
    """A20: digests of random bits; neither the tokens nor their successors can be read out of a dump."""
    ann = house.client()
    await ann.register("ann")
    first = ann.refresh_token
    await ann.refresh()
    rows = await house.dump()
    assert len(rows) == 2
    for token in (first, ann.refresh_token):
        assert len(token) == 43  # 256 bits in base64
        assert all(token.encode() not in row.digest + row.nonce for row in rows)


async def test_the_end_of_all_sessions_outruns_refreshes(house: House) -> None:
    """S4: however they interleave, no refresh leaves a session behind."""
    user = await house.move_in("ann")
    ann = house.client()
    await ann.log_in("ann")
    for _ in range(3):
        tokens = [await house.open_session(user) for _ in range(4)]
        ending = house.client()
        await ending.log_in("ann")
        answers = await asyncio.gather(
            *(house.client().refresh(token) for token in tokens), ending.post("/sessions/logout-all")
        )
        assert answers[-1].status_code == 200
        assert {answer.status_code for answer in answers} <= {200, 401}
        for token, answer in zip(tokens, answers, strict=False):
            left = answer.json().get("data", {}).get("refresh_token", token)
            assert (await house.client().refresh(left)).status_code == 401


async def test_who_somebody_is_comes_from_the_database(house: House) -> None:
    """A28: a new role shows at the next request, although the token claims the old one."""
    user = await house.move_in("ann")
    ann = house.client()
    await ann.log_in("ann")
    assert (await ann.get("/auth/me")).json()["data"]["role"] == "user"
    assert (await house.authenticator.authenticate(ann.access)).role == "user"
    await house.set_role(user.id, "moderator")
    assert (await ann.get("/auth/me")).json()["data"]["role"] == "moderator"
    assert (await house.authenticator.authenticate(ann.access)).role == "moderator"

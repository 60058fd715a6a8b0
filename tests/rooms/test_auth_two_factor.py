"""The second factor: apps, codes on paper, and those who have only one of the two."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.rooms.sessions_house import (
    NEW_PASSWORD,
    PASSWORD,
    Client,
    House,
    code_of,
    detail_of,
    house,
    totp_code,
)
from veza.core import clock
from veza.operating import DEEDS
from veza.rooms.accounts.errors import UserNotFound

__all__ = ["house"]


async def turn_on(client: Client) -> tuple[str, list[str]]:
    """Turn two-factor login on; the secret and the recovery codes."""
    secret = (await client.post("/auth/2fa/setup")).json()["data"]["secret"]
    now = clock.now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now)  # else the code's time may be over before it comes
        answer = await client.post("/auth/2fa/enable", code=totp_code(secret, -1))
    assert answer.status_code == 200
    return secret, answer.json()["data"]["recovery_codes"]


async def challenge(client: Client, name: str = "ann", **more: Any) -> str:
    """Give the password; the token for the second step."""
    client.access = ""
    data = (await client.log_in(name, **more)).json()["data"]
    assert data == {"requires_2fa": True, "challenge_token": data["challenge_token"]}
    token: str = data["challenge_token"]
    return token


async def test_turning_it_on(house: House) -> None:
    """A11: a secret for the app, then codes on paper; nothing changes before the first code."""
    ann = house.client()
    await ann.register("ann")
    assert code_of(await ann.post("/auth/2fa/enable", code="123456")) == "TWO_FACTOR_NOT_SET_UP"
    setup = (await ann.post("/auth/2fa/setup")).json()["data"]
    assert setup["otpauth_url"].startswith("otpauth://totp/Veza:ann%40example.com?secret=")
    assert detail_of(await ann.post("/auth/2fa/enable", code="12345x")) == ("code", "INVALID_CODE")
    assert (await house.client().log_in("ann")).json()["data"]["requires_2fa"] is False
    answer = await ann.post("/auth/2fa/enable", code=totp_code(setup["secret"]))
    assert len(set(answer.json()["data"]["recovery_codes"])) == 10
    assert (await ann.get("/auth/me")).json()["data"]["two_factor_enabled"] is True
    for path, body in (("setup", {}), ("enable", {"code": "123456"})):
        assert code_of(await ann.post(f"/auth/2fa/{path}", **body)) == "TWO_FACTOR_ON"
    assert len(await house.happened("auth.2fa_enabled")) == 1
    await house.work()
    assert "Two-factor login was turned on" in house.postbox.mails[-1].text


@pytest.mark.usefixtures("still")
async def test_a_found_telephone_does_not_turn_it_on(house: House) -> None:
    """A9, A11: who did not sign in just now gives the password, and guesses at it are slowed."""
    ann, found = house.client(), house.client()
    await ann.register("ann")
    secret = (await ann.post("/auth/2fa/setup")).json()["data"]["secret"]
    with clock.shifted(timedelta(minutes=11)):
        assert (await ann.refresh()).status_code == 200
        found.access, code = ann.access, totp_code(secret)
        answer = await found.post("/auth/2fa/enable", code=code)
        assert (answer.status_code, code_of(answer)) == (403, "PASSWORD_REQUIRED")
        guesses = [
            await found.post("/auth/2fa/enable", code=code, password="wrong wrong wrong") for _ in range(11)
        ]
        assert [guess.status_code for guess in guesses] == [422] * 10 + [429]
        assert detail_of(guesses[0]) == ("password", "WRONG_PASSWORD")
        assert (await ann.get("/auth/me")).json()["data"]["two_factor_enabled"] is False
    with clock.shifted(timedelta(minutes=30)):
        answer = await ann.post("/auth/2fa/enable", code=totp_code(secret), password=PASSWORD)
        assert answer.status_code == 200


async def test_signing_in_with_it(house: House) -> None:
    """A11: the password alone gives no tokens; a code completes, with remember_me kept."""
    ann = house.client()
    await ann.register("ann")
    secret, _ = await turn_on(ann)
    before = await house.count()
    token = await challenge(ann, remember_me=True)
    assert await house.count() == before
    answer = ann._keep(await ann.post("/auth/2fa/verify", challenge_token=token, code=totp_code(secret)))
    assert answer.status_code == 200
    assert answer.json()["data"].keys() == {"user", "token", "requires_2fa"}
    assert await ann.me() == 200
    with clock.shifted(timedelta(days=89)):
        assert (await ann.refresh()).status_code == 200


async def test_a_challenge_opens_nothing_else(house: House) -> None:
    """A11, A13: not an access token, nor a refresh token; and no other token is a challenge."""
    ann = house.client()
    await ann.register("ann")
    secret, _ = await turn_on(ann)
    access = ann.access
    token = await challenge(ann)
    assert (await ann.ask("GET", "/auth/me", headers={"authorization": f"Bearer {token}"})).status_code == 401
    assert (await ann.refresh(token)).status_code == 401
    answer = await ann.post("/auth/2fa/verify", challenge_token=access, code=totp_code(secret))
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")
    with clock.shifted(timedelta(minutes=5, seconds=31)):
        answer = await ann.post("/auth/2fa/verify", challenge_token=token, code=totp_code(secret))
        assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")


async def test_a_code_works_once(house: House) -> None:
    """A11: also when it comes twice at once, and also within its time; the step before is over too."""
    ann = house.client()
    await ann.register("ann")
    secret, _ = await turn_on(ann)
    token, code = await challenge(ann), totp_code(secret)
    both = await asyncio.gather(
        *(house.client().post("/auth/2fa/verify", challenge_token=token, code=code) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in both) == [200, 401]
    again = await ann.post("/auth/2fa/verify", challenge_token=await challenge(ann), code=code)
    assert (again.status_code, code_of(again)) == (401, "INVALID_CODE")
    assert len(await house.happened("auth.login_failed")) == 2


async def test_five_tries(house: House) -> None:
    """A11: a challenge takes five; then even the right code is refused; a new challenge works."""
    ann = house.client()
    await ann.register("ann")
    secret, _ = await turn_on(ann)
    token = await challenge(ann)
    for _ in range(5):
        assert (
            code_of(await ann.post("/auth/2fa/verify", challenge_token=token, code="000000x"))
            == "INVALID_CODE"
        )
    answer = await ann.post("/auth/2fa/verify", challenge_token=token, code=totp_code(secret))
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")
    fresh = await challenge(ann)
    assert (
        await ann.post("/auth/2fa/verify", challenge_token=fresh, code=totp_code(secret))
    ).status_code == 200


@pytest.mark.usefixtures("still")
async def test_codes_are_not_guessed_over_many_challenges(house: House) -> None:
    """A9, A11: ten wrong codes on one account, and the next ones wait."""
    ann = house.client()
    await ann.register("ann")
    await turn_on(ann)
    statuses = []
    for _ in range(3):
        token = await challenge(ann)
        for _ in range(4):
            answer = await ann.post("/auth/2fa/verify", challenge_token=token, code="no code")
            statuses.append(answer.status_code)
    assert statuses == [401] * 10 + [429] * 2
    assert len(await house.happened("auth.login_slowed")) == 1


@pytest.mark.usefixtures("still")
async def test_who_only_knows_the_password_keeps_nobody_out(house: House) -> None:
    """A9: the owner's code passes where they are signed in, and turns it off; ten wrong ones slow it."""
    ann, guesser = house.client(), house.client("198.51.100.1")
    await ann.register("ann")
    secret, codes = await turn_on(ann)
    access = ann.access

    async def answer(client: Client, code: str) -> int:
        token = await challenge(client)
        return (await client.post("/auth/2fa/verify", challenge_token=token, code=code)).status_code

    assert [await answer(guesser, "no code") for _ in range(12)] == [401] * 10 + [429] * 2
    assert await answer(house.client("192.0.2.7"), codes[0]) == 429
    assert await answer(ann, "no code") == 429
    assert await answer(ann, totp_code(secret)) == 200
    assert [await answer(guesser, "no code") for _ in range(12)] == [401] * 10 + [429] * 2
    assert [await answer(ann, "no code") for _ in range(10)] == [429] * 10
    assert await answer(ann, codes[1]) == 429
    with clock.shifted(timedelta(seconds=3)):
        assert await answer(ann, codes[2]) == 200
    assert [await answer(guesser, "no code") for _ in range(12)] == [401] * 10 + [429] * 2
    ann.access = access
    assert (await ann.post("/auth/2fa/disable", password=PASSWORD, code=codes[3])).status_code == 200


async def test_recovery_codes(house: House) -> None:
    """A11: each works once, however it is typed, and its use is told."""
    ann = house.client()
    await ann.register("ann")
    _, codes = await turn_on(ann)
    typed = codes[0].upper().replace("-", " ")
    token = await challenge(ann)
    both = await asyncio.gather(
        *(house.client().post("/auth/2fa/verify", challenge_token=token, code=typed) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in both) == [200, 401]
    assert [event.data["left"] for event in await house.happened("auth.recovery_code_used")] == [9]
    await house.work()
    assert any("recovery code" in mail.text for mail in house.postbox.mails)


async def test_a_challenge_dies_with_its_password(house: House) -> None:
    """A11, A18: the first step counts for the password that it was taken with."""
    ann = house.client()
    user_id = (await ann.register("ann")).json()["data"]["user"]["id"]
    secret, _ = await turn_on(ann)
    token = await challenge(ann)
    await house.set_password(user_id, NEW_PASSWORD)
    answer = await ann.post("/auth/2fa/verify", challenge_token=token, code=totp_code(secret))
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")


async def test_a_login_overtaken_by_a_second_factor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A11: a password that was checked before the second factor was on opens no session without it."""
    ann, other = house.client(), house.client()
    await ann.register("ann")
    verify = house.hasher.verify

    async def verify_slowly(stored: str | None, password: str) -> Any:
        verdict = await verify(stored, password)
        await turn_on(ann)
        return verdict

    with monkeypatch.context() as patch:
        patch.setattr(house.hasher, "verify", verify_slowly)
        answer = await other.log_in("ann")
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_CREDENTIALS")
    assert (await house.count())[0] == 1
    assert (await other.log_in("ann")).json()["data"]["requires_2fa"] is True


async def test_turning_it_off_takes_both_factors(house: House) -> None:
    """A11: a signed-in session alone cannot; a recovery code can stand in for the app."""
    ann = house.client()
    await ann.register("ann")
    assert code_of(await ann.post("/auth/2fa/disable", password=PASSWORD, code="1")) == "TWO_FACTOR_OFF"
    secret, codes = await turn_on(ann)
    wrong = await ann.post("/auth/2fa/disable", password="wrong wrong wrong", code=totp_code(secret))
    assert (wrong.status_code, detail_of(wrong)) == (422, ("password", "WRONG_PASSWORD"))
    wrong = await ann.post("/auth/2fa/disable", password=PASSWORD, code="no code")
    assert (wrong.status_code, detail_of(wrong)) == (422, ("code", "INVALID_CODE"))
    assert (await ann.post("/auth/2fa/disable", password=PASSWORD, code=codes[3])).status_code == 200
    assert (await ann.log_in("ann")).json()["data"]["requires_2fa"] is False
    assert len(await house.happened("auth.2fa_disabled")) == 1
    again, _ = await turn_on(ann)
    assert again != secret
    token = await challenge(ann)
    assert (await ann.post("/auth/2fa/verify", challenge_token=token, code=codes[4])).status_code == 401


async def test_an_operator_takes_it_off_for_who_lost_it(house: House) -> None:
    """A11, A18: app, codes, sessions and half a login are void at once, and the owner is told; once."""
    ann, other = house.client(), house.client("192.0.2.9")
    user_id = (await ann.register("ann")).json()["data"]["user"]["id"]
    secret, _ = await turn_on(ann)
    token = await challenge(other)
    await house.work()

    async with house.database.write() as tx:
        said = await DEEDS["reset_2fa"](tx, username="Ann")
    assert said == [
        f"took the second factor of ann ({user_id}) off, and ended all their sessions",
        "ann@example.com is told so by mail",
    ]
    assert await ann.me() == 401
    assert code_of(await ann.refresh()) == "INVALID_TOKEN"
    answer = await other.post("/auth/2fa/verify", challenge_token=token, code=totp_code(secret))
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")
    assert (await house.account(user_id)).totp_secret is None
    assert await house.recovery_digests() == []
    assert (await ann.log_in("ann")).json()["data"]["requires_2fa"] is False

    async with house.database.write() as tx:
        assert await DEEDS["reset_2fa"](tx, username="ann") == [
            f"ann ({user_id}) has no second factor: nothing was changed"
        ]
    assert await ann.me() == 200
    assert [event.data for event in await house.happened("auth.2fa_reset")] == [{"user_id": user_id}]
    await house.work()
    mail = house.postbox.mails[-1]
    assert (mail.to, mail.subject) == ("ann@example.com", "Two-factor login was turned off by an operator")
    async with house.database.write() as tx:
        with pytest.raises(UserNotFound):
            await DEEDS["reset_2fa"](tx, username="nobody")


@pytest.mark.parametrize("confirmed", [False, True])
async def test_warnings_flood_no_mailbox(house: House, *, confirmed: bool) -> None:
    """A25: three an hour to an address that nobody confirmed; else five of a kind, and none hides another."""
    await house.move_in("ann", confirmed=confirmed)
    ann = house.client()
    await ann.log_in("ann")

    async def mails() -> Counter[str]:
        await house.work()
        return Counter(mail.text.split("\n")[2] for mail in house.postbox.mails)

    for _ in range(6):
        _, codes = await turn_on(ann)
        assert (await ann.post("/auth/2fa/disable", password=PASSWORD, code=codes[0])).status_code == 200
    changed = {"password": NEW_PASSWORD, "password_confirm": NEW_PASSWORD}
    answer = await ann.post("/auth/password/change", current_password=PASSWORD, **changed)
    assert answer.status_code == 200
    seen = await mails()
    assert seen.total() == (3 if not confirmed else 5 + 5 + 5 + 1)
    await turn_on(ann)
    async with house.database.write() as tx:
        await DEEDS["reset_2fa"](tx, username="ann")
    after = await mails() - seen
    assert after.total() == 1, "what an operator did is told whatever else was"
    with clock.shifted(timedelta(minutes=61)):
        await ann.log_in("ann", NEW_PASSWORD)
        await turn_on(ann)
        assert (await mails() - seen - after).total() == 1


async def test_the_secret_is_sealed_at_rest(house: House) -> None:
    """A20: a dump of the database makes no codes."""
    ann = house.client()
    user_id = (await ann.register("ann")).json()["data"]["user"]["id"]
    secret, codes = await turn_on(ann)
    account = await house.account(user_id)
    assert account.totp_secret is not None
    assert secret.encode() not in account.totp_secret
    kept = str(await house.recovery_digests())
    assert all(code not in kept for code in codes)


async def test_only_for_those_signed_in(house: House) -> None:
    """G1: a guest → 401."""
    for path, body in (("setup", {}), ("enable", {"code": "1"}), ("disable", {"password": "1", "code": "2"})):
        answer = await house.client().post(f"/auth/2fa/{path}", **body)
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")

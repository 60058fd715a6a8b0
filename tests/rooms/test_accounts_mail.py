"""Links in mails: what they open, for whom, and how often."""
# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
import re
from datetime import timedelta
from importlib import resources
from typing import Any

import httpx
import pytest

from tests.rooms.accounts_house import BASE_URL, House, days, house  # noqa: F401 - a fixture
from veza.access.secrets import digest
from veza.core.db import Database
from veza.core.ids import new_id
from veza.core.jobs import Job
from veza.core.mail import MailDelayed, MailRefused
from veza.rooms.accounts import mail_tokens, pages, store
from veza.rooms.accounts.kinds import SendVerification

UNKNOWN = "nobody@example.com"


async def resend(house: House, email: str) -> httpx.Response:
    return await house.ask("guest", "POST", "/auth/resend-verification", json={"email": email})


async def verify(house: House, token: str) -> httpx.Response:
    return await house.ask("guest", "POST", "/auth/verify-email", params={"token": token})


async def is_verified(house: House, name: str) -> bool:
    async with house.database.read() as view:
        user = await store.find(view, house.id(name))
    assert user is not None
    return user.email_verified


async def token_for(house: House, name: str) -> str:
    await resend(house, house.people[name].email)
    await house.work()
    return house.postbox.token()


def is_refused(answer: httpx.Response) -> bool:
    error = answer.json()["error"]
    message = "This link is not valid, or no longer; ask for a new one."
    return (answer.status_code, error["code"], error["message"]) == (400, "TOKEN_INVALID", message)


async def test_the_link_in_the_mail_verifies_the_address_once(house: House) -> None:
    """A23: and then no more; G31 excepts the document's own token in a query."""
    token = await token_for(house, "ann")
    [(_, mail)] = house.postbox.mails
    assert mail.to == "ann@example.com"
    assert f"{BASE_URL}/verify-email?token={token}" in mail.text
    assert f"{BASE_URL}/verify-email?token={token}" in mail.html
    answer = await verify(house, token)
    assert (answer.status_code, answer.json()["data"]) == (200, {"message": "Email verified successfully"})
    assert await is_verified(house, "ann")
    assert not await is_verified(house, "ben")
    assert (await house.events())[-1] == "auth.email_verified"
    assert is_refused(await verify(house, token))


async def test_what_is_no_token_is_refused_with_one_message(house: House) -> None:
    """A23: whatever is wrong with it."""
    await token_for(house, "ann")
    for token in ("", "x", "a" * 43, "\0", "é" * 5000, "..", "' OR 1=1 --"):
        assert is_refused(await verify(house, token))


async def test_a_token_is_not_good_for_anything_else(house: House) -> None:
    """A23, A26: neither for another purpose, nor for another address, nor after a day."""
    ann, ben = house.people["ann"], house.people["ben"]
    async with house.database.write() as tx:
        reset = await mail_tokens.issue(tx, mail_tokens.RESET, ann.id, ann.email, timedelta(hours=1))
        moved = await mail_tokens.issue(
            tx, mail_tokens.VERIFY, ben.id, "old@example.com", timedelta(hours=24)
        )
    assert is_refused(await verify(house, reset))
    assert is_refused(await verify(house, moved))
    late = await token_for(house, "ann")
    with days(1.01):
        assert is_refused(await verify(house, late))
    assert not await is_verified(house, "ann")
    with days(0.99):
        assert (await verify(house, late)).status_code == 200


async def test_of_two_who_use_a_token_at_once_one_succeeds(house: House) -> None:
    """A23: single use under concurrency."""
    token = await token_for(house, "ann")
    answers = await asyncio.gather(*(verify(house, token) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


async def test_any_of_several_mails_works_and_then_none(house: House) -> None:
    """A23: people open the first mail they find."""
    first, second = await token_for(house, "ann"), await token_for(house, "ann")
    assert first != second
    assert (await verify(house, first)).status_code == 200
    assert is_refused(await verify(house, second))


async def test_only_digests_are_stored(house: House) -> None:
    """A23, A20: neither the tokens' table nor the queue holds what would verify."""
    await resend(house, "ann@example.com")
    before = str(await house.database.rows("SELECT payload FROM jobs"))
    await house.work()
    token = house.postbox.token()
    [(stored,)] = await house.database.rows("SELECT digest FROM mail_tokens")
    assert bytes(stored) == digest(token)
    assert token not in before


async def test_asking_again_answers_alike_whoever_asks(house: House) -> None:
    """A25: unknown, verified and unverified; the same work is queued for each."""
    assert (await verify(house, await token_for(house, "ben"))).status_code == 200
    house.postbox.mails.clear()
    answers = [await resend(house, email) for email in (UNKNOWN, "ben@example.com", "ann@example.com")]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["data"] == {"message": "Verification email sent"}
    assert await house.work() == 3
    assert [mail.to for _, mail in house.postbox.mails] == ["ann@example.com"]


async def test_three_mails_an_hour_and_no_more(house: House) -> None:
    """A25, G17: counted alike for an unknown address, and however it is written; nobody else is hit."""
    for email in (UNKNOWN, "ann@example.com"):
        statuses = [(await resend(house, email)).status_code for _ in range(3)]
        statuses.append((await resend(house, email.upper())).status_code)
        answer = await resend(house, email)
        assert [*statuses, answer.status_code] == [200, 200, 200, 429, 429]
        assert answer.json()["error"]["code"] == "RATE_LIMITED"
        assert 3500 < int(answer.headers["retry-after"]) <= 3600
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("3", "0")
    assert (await resend(house, "ben@example.com")).status_code == 200
    await house.work()
    assert [mail.to for _, mail in house.postbox.mails].count("ann@example.com") == 3
    with days(1 / 23):
        assert (await resend(house, "ann@example.com")).status_code == 200


async def test_what_is_no_address_is_refused(house: House) -> None:
    """A3: header injection among them."""
    injection = "ann@example.com\r\nBcc: eve@example.com"
    for email in ("", "ann", "a@b@c", injection, f"{'a' * 250}@example.com", None, 1, ["a"]):
        answer = await house.ask("guest", "POST", "/auth/resend-verification", json={"email": email})
        assert answer.status_code == 422
        assert answer.json()["error"]["details"][0]["field"] == "email"
    assert await house.work() == 0


async def test_the_host_header_builds_no_link(house: House) -> None:
    """A26: links begin with the configured address."""
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example"}
    email = {"email": "ann@example.com"}
    await house.ask("guest", "POST", "/auth/resend-verification", json=email, headers=evil)
    await house.work()
    assert "evil" not in house.postbox.mails[0][1].text + house.postbox.mails[0][1].html


async def test_a_mail_that_is_sent_again_is_known_by_its_key(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A25: a job that died after sending sends once more, under the same Message-ID; both links work."""
    job = Job(new_id(), "accounts.send_verification", "", 1, None)
    await house.jobs.send_verification(job, SendVerification("ann@example.com"))
    first = house.postbox.token()
    await house.jobs.send_verification(job, SendVerification("ann@example.com"))
    assert [key for key, _ in house.postbox.mails] == [job.id, job.id]
    assert (await verify(house, first)).status_code == 200
    await house.jobs.send_verification(job, SendVerification("ann@example.com"))
    assert len(house.postbox.mails) == 2

    async def fail(*_: Any, **__: Any) -> None:
        raise MailDelayed("the server is away")

    async def refuse(*_: Any, **__: Any) -> None:
        raise MailRefused("no such mailbox")

    monkeypatch.setattr(house.postbox, "send", fail)
    with pytest.raises(MailDelayed):
        await house.jobs.send_verification(job, SendVerification("ben@example.com"))
    monkeypatch.setattr(house.postbox, "send", refuse)
    await house.jobs.send_verification(job, SendVerification("ben@example.com"))


async def test_what_has_expired_is_forgotten(house: House, database: Database) -> None:
    await token_for(house, "ann")
    await house.ask("ann", "PUT", "/users/{ann}", json={"username": "annie"})
    job = Job(new_id(), "accounts.purge", "", 1, None)

    async def kept() -> list[Any]:
        return await database.rows(
            "SELECT (SELECT count(*) FROM mail_tokens), (SELECT count(*) FROM former_usernames)"
        )

    await house.jobs.purge(job, Any)
    assert await kept() == [(1, 1)]
    with days(2):
        await house.jobs.purge(job, Any)
    assert await kept() == [(0, 1)]
    with days(31):
        await house.jobs.purge(job, Any)
    assert await kept() == [(0, 0)]


def test_every_link_in_a_mail_leads_to_a_page() -> None:
    """A24, A26: also the one by which somebody who is warned of a thief asks for a new password."""
    mails = "".join(mail.read_text() for mail in resources.files("veza").joinpath("mails").iterdir())
    linked = set(re.findall(r'public_url(?: }}| ~ ")(/[a-z-]+)', mails))
    assert linked == {path for path in pages.FILES if not path.startswith("/account/")}


@pytest.mark.parametrize("page", ["/verify-email", "/reset-password", "/forgot-password"])
async def test_the_links_pages_do_nothing_until_their_button_is_pressed(house: House, page: str) -> None:
    """A24: opened by a mail scanner, a link uses no token up; and the page obeys its own policy."""
    token = await token_for(house, "ann")
    answer = await house.client.get(f"{BASE_URL}{page}?token={token}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon[a-z]+=|\bstyle=|https?://", answer.text)
    assert token not in answer.text
    for asset in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        found = await house.client.get(f"{BASE_URL}/{asset}")
        assert found.status_code == 200
        again = await house.client.get(
            f"{BASE_URL}/{asset}", headers={"if-none-match": found.headers["etag"]}
        )
        assert again.status_code == 304
    assert not await is_verified(house, "ann")
    assert (await house.ask("guest", "GET", f"/auth/verify-email?token={token}")).status_code == 405
    assert (await verify(house, token)).status_code == 200

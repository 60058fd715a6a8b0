"""One's sessions: seeing them, ending them, and what is kept of them."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from tests.rooms.sessions_house import House, code_of, house
from veza.core import clock
from veza.core.events import Context
from veza.core.ids import new_id
from veza.rooms.sessions import jobs, store
from veza.rooms.sessions.holding import HOLDING

__all__ = ["house"]

GUESTS = [
    ("GET", "/auth/me"),
    ("GET", "/sessions"),
    ("GET", "/sessions/stats"),
    ("POST", "/sessions/logout"),
    ("POST", "/sessions/logout-all"),
    ("DELETE", f"/sessions/{new_id()}"),
]


async def test_guests(house: House) -> None:
    """G1: nothing here is for a guest."""
    for method, path in GUESTS:
        answer = await house.client().ask(method, path)
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED"), path


async def test_the_list(house: House) -> None:
    """S5: one's own living sessions, newest first, and no token or hash."""
    ann, other, ben = house.client(), house.client("2001:db8::7", "Mozilla/5.0 (X11)"), house.client()
    await ann.register("ann")
    await ben.register("ben")
    await other.log_in("ann")
    await ann.refresh()
    answer = await ann.get("/sessions")
    listed = answer.json()["data"]["sessions"]
    assert [one["current"] for one in listed] == [False, True]
    assert listed[0].keys() == {
        "id",
        "ip_address",
        "user_agent",
        "created_at",
        "last_activity",
        "expires_at",
        "current",
    }
    assert (listed[0]["ip_address"], listed[0]["user_agent"]) == ("2001:db8::7", "Mozilla/5.0 (X11)")
    assert listed[0]["created_at"].endswith("Z")
    for token in (ann.access, ann.refresh_token, other.refresh_token):
        assert token not in answer.text
    assert "private" in answer.headers["cache-control"] or "no-store" in answer.headers["cache-control"]


async def test_long_and_strange_names_of_programs(house: House) -> None:
    """S5, S8: cut to 512 characters, without control characters."""
    ann = house.client(user_agent="x" * 100_000)
    await ann.register("ann")
    ann.user_agent = "curl\x1b[31m\x07/8"
    await ann.log_in("ann")
    listed = (await ann.get("/sessions")).json()["data"]["sessions"]
    assert listed[1]["user_agent"] == "x" * 512
    assert listed[0]["user_agent"].isprintable()


async def test_what_cannot_be_revoked(house: House) -> None:
    """S1: another's session → 404, and it lives on; what is no id → 400."""
    ann, ben = house.client(), house.client()
    await ann.register("ann")
    await ben.register("ben")
    theirs = house.tokens.read_access(ben.access).sid
    for target, status, code in (
        (theirs, 404, "NOT_FOUND"),
        (new_id(), 404, "NOT_FOUND"),
        ("x", 400, "INVALID_REQUEST"),
    ):
        answer = await ann.ask("DELETE", f"/sessions/{target}")
        assert (answer.status_code, code_of(answer)) == (status, code)
    assert await ben.me() == 200
    assert (await ben.refresh()).status_code == 200


async def test_revoking(house: House) -> None:
    """S2, S3: another of one's own, twice, and then the one that asks; each ends at once."""
    ann, other = house.client(), house.client("192.0.2.2")
    await ann.register("ann")
    await other.log_in("ann")
    assert [await ann.me(), await other.me()] == [200, 200]
    theirs, mine = (house.tokens.read_access(client.access).sid for client in (other, ann))
    answer = await ann.ask("DELETE", f"/sessions/{theirs}")
    assert answer.json() == {"success": True, "data": {"message": "Session revoked successfully"}}
    assert await other.me() == 401
    assert (await other.refresh()).status_code == 401
    assert (await ann.ask("DELETE", f"/sessions/{theirs}")).status_code == 404
    assert (await ann.ask("DELETE", f"/sessions/{mine}")).status_code == 200
    assert await ann.me() == 401
    assert len(await house.happened("session.revoked")) == 2


async def test_revoking_one_session_many_times_at_once(house: House) -> None:
    """S3: one succeeds, the others find nothing; no 500."""
    ann, other = house.client(), house.client()
    await ann.register("ann")
    await other.log_in("ann")
    theirs = house.tokens.read_access(other.access).sid
    answers = await asyncio.gather(*(ann.ask("DELETE", f"/sessions/{theirs}") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 4


@pytest.mark.parametrize("path", ["/auth/logout", "/sessions/logout"])
async def test_logging_out(house: House, path: str) -> None:
    """A18, A21: the access token is refused at once, the refresh token too; other sessions live."""
    ann, other = house.client(), house.client()
    await ann.register("ann")
    await other.log_in("ann")
    body = {"refresh_token": ann.refresh_token} if path == "/auth/logout" else {}
    answer = await ann.post(path, **body)
    assert answer.json()["data"] == {"message": "Logged out successfully"}
    assert await ann.me() == 401
    assert code_of(await ann.refresh()) == "INVALID_TOKEN"
    assert await other.me() == 200
    assert len(await house.happened("auth.logout")) == 1


async def test_logging_out_with_another_session_s_token(house: House) -> None:
    """A21: another's refresh token → 404 and nothing ends; one's own ends both, used or not."""
    ann, other, ben = house.client(), house.client(), house.client()
    await ann.register("ann")
    await ben.register("ben")
    await other.log_in("ann")
    for token in (ben.refresh_token, "unknown"):
        answer = await ann.post("/auth/logout", refresh_token=token)
        assert answer.status_code == 404
    assert [await ann.me(), await ben.me()] == [200, 200]
    used = other.refresh_token
    await other.refresh()
    assert (await ann.post("/auth/logout", refresh_token=used)).status_code == 200
    assert [await ann.me(), await other.me(), await ben.me()] == [401, 401, 200]


async def test_ending_all(house: House) -> None:
    """A18, S4: every session of one's own, and nobody else's."""
    ann, other, ben = house.client(), house.client(), house.client()
    await ann.register("ann")
    await other.log_in("ann")
    await ben.register("ben")
    answer = await ann.post("/sessions/logout-all")
    assert answer.json()["data"] == {"message": "Logged out from all sessions"}
    assert [await ann.me(), await other.me(), await ben.me()] == [401, 401, 200]
    assert len(await house.happened("session.all_revoked")) == 1


async def test_stats(house: House) -> None:
    """S9: only one's own; ended ones are still counted in the total."""
    ann, other, ben = house.client(), house.client(), house.client()
    await ann.register("ann")
    await ben.register("ben")
    await other.log_in("ann")
    await other.post("/sessions/logout")
    assert (await ann.get("/sessions/stats")).json()["data"] == {"total_sessions": 2, "active_sessions": 1}


async def test_no_more_than_fifty(house: House) -> None:
    """S7: the oldest go, ended ones first; their tokens are refused at once, remembered or not."""
    user = await house.move_in("ann")
    oldest, ended, kept = house.client(), house.client(), house.client()
    for client in (oldest, ended, kept):
        await client.log_in("ann")
        assert await client.me() == 200
    await ended.post("/sessions/logout")
    for _ in range(47):
        await house.open_session(user)
    assert await house.count() == (50, 50)
    assert await oldest.me() == 200
    await house.open_session(user)
    assert [await oldest.me(), await kept.me()] == [200, 200]
    await house.open_session(user)
    assert [await oldest.me(), await kept.me()] == [401, 200]
    assert (await oldest.refresh()).status_code == 401
    assert len((await kept.get("/sessions")).json()["data"]["sessions"]) == 50
    with clock.shifted(-timedelta(hours=1)):  # A27: a clock that was set back signs nobody out at once
        newest = house.client()
        await newest.log_in("ann")
        assert await newest.me() == 200


async def test_what_has_ended_is_forgotten(house: House) -> None:
    """S11: expired sessions go, ended ones after a month, with their tokens; living ones stay."""
    user = await house.move_in("ann")
    ended, living = house.client(), house.client()
    await house.open_session(user)
    await ended.log_in("ann", remember_me=True)
    await living.log_in("ann", remember_me=True)
    await ended.post("/sessions/logout")
    await house.work()
    await jobs.forget_ended(house.database)
    assert await house.count() == (3, 3)
    with clock.shifted(timedelta(days=31)):
        await jobs.forget_ended(house.database)
        assert await house.count() == (1, 1)
        assert await living.me() == 401
        assert (await living.refresh()).status_code == 200


async def test_a_session_that_refreshes_all_the_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """S11: its oldest used tokens go; the rest still give a thief away, and the newest works."""
    user = await house.move_in("ann")
    ann = house.client()
    await ann.log_in("ann")
    tokens = [ann.refresh_token]
    for _ in range(store.MAX_USED_TOKENS + 2):
        async with house.database.write() as tx:
            pair = await house.renew(tx, tokens[-1])
        tokens.append(pair)
    await jobs.forget_ended(house.database)
    assert await house.count() == (1, store.MAX_USED_TOKENS)
    assert code_of(await ann.refresh(tokens[0])) == "INVALID_TOKEN"
    assert (await ann.refresh(tokens[-1])).status_code == 200
    assert code_of(await ann.refresh(tokens[10])) == "REFRESH_REUSED"
    assert user.username == "ann"


async def test_the_export(house: House) -> None:
    """S5: all that is kept of one's sessions, also of those that have ended; no token, and nobody else's."""
    user, other = await house.move_in("ann"), await house.move_in("ben")
    ann = house.client("192.0.2.4")
    await ann.log_in("ann")
    await ann.post("/sessions/logout")
    await house.open_session(user, origin=Context(ip="192.0.2.3", user_agent="test/2"))
    await house.open_session(other)
    async with house.database.read() as view:
        exported = await HOLDING.export(view, user.id)
    assert [(one.ip_address, one.user_agent, one.revoked_at is None) for one in exported] == [
        ("192.0.2.3", "test/2", True),
        ("192.0.2.4", "test/1", False),
    ]
    told = msgspec.to_builtins(exported[0])
    assert told.keys() == {
        "id", "ip_address", "user_agent", "created_at", "last_activity", "expires_at", "revoked_at"
    }  # fmt: skip

"""The end of accounts, the copy of what is held about people, roles, and how much may be stored."""
# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import pytest

from tests.rooms.accounts_house import PASSWORD, House, days, house  # noqa: F401 - a fixture
from tests.rooms.test_accounts_avatars import picture, put
from veza.access.actor import GUEST, Member
from veza.core.errors import Forbidden, Unavailable
from veza.core.ids import new_id
from veza.rooms.accounts import quota
from veza.rooms.accounts.errors import QuotaExceeded, UserNotFound
from veza.rooms.accounts.holdings import Holding


async def role_of(house: House, name: str) -> str:
    rows = await house.database.rows("SELECT username, role FROM users")
    return {username: str(role) for username, role in rows}[f"{name}-person"]


async def test_an_account_ends_with_its_password(house: House) -> None:
    """U8: the owner gives it once more; then there is no such user, and nothing of theirs."""
    await put(house, "ann", picture())
    for body, status in [
        ({}, 422),
        ({"password": "wrong"}, 422),
        ({"password": None}, 422),
        ({"x": 1}, 422),
        ([], 422),
    ]:
        assert (await house.ask("ann", "DELETE", "/users/{ann}", json=body)).status_code == status
    for kind, status in (("application/json", 400), ("text/plain", 415)):
        sent: dict[str, Any] = {"content": b"{", "headers": {"Content-Type": kind}}
        assert (await house.ask("ann", "DELETE", "/users/{ann}", **sent)).status_code == status
    assert (await house.ask("ann", "DELETE", "/users/{ann}")).status_code == 422
    assert house.erased == []
    answer = await house.ask("ann", "DELETE", "/users/{ann}", json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["data"]) == (200, {"message": "Account deleted successfully"})
    assert house.proved == house.erased == [house.id("ann")]
    assert (await house.events())[-1] == "user.deleted"
    assert (await house.ask("ben", "GET", "/users/{ann}")).status_code == 404
    assert (await house.ask("ben", "GET", "/users/by-username/ann-person")).status_code == 404
    assert (await house.ask("ben", "GET", "/users/{ann}/avatar")).status_code == 404
    assert (await house.ask("ann", "GET", "/users/{ben}")).status_code == 401
    await house.work()
    assert house.files() == []
    taken = await house.ask("ben", "PUT", "/users/{ben}", json={"username": "ann-person"})
    assert taken.json()["error"]["code"] == "USERNAME_TAKEN"
    with days(31):
        assert (
            await house.ask("ben", "PUT", "/users/{ben}", json={"username": "ann-person"})
        ).status_code == 200


async def test_an_admin_ends_an_account_without_its_password(house: House) -> None:
    """U1, U8."""
    assert (await house.ask("admin", "DELETE", "/users/{ann}")).status_code == 200
    assert (house.proved, house.erased) == ([], [house.id("ann")])
    assert (await house.ask("admin", "DELETE", "/users/{ann}")).status_code == 404


async def test_of_many_who_end_one_account_one_succeeds(house: House) -> None:
    """U8: and all that belongs to it ends once."""
    answers = await asyncio.gather(*(house.ask("admin", "DELETE", "/users/{ann}") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert (await house.events()).count("user.deleted") == 1


async def test_when_a_room_cannot_let_go_nothing_is_lost(house: House) -> None:
    """U8: an account ends whole or not at all."""
    house.stuck = True
    assert (await house.ask("admin", "DELETE", "/users/{ann}")).status_code == 503
    assert (await house.ask("ann", "GET", "/users/{ann}")).status_code == 200
    assert "user.deleted" not in await house.events()
    assert await house.work() == 0


async def test_people_get_what_is_held_about_them(house: House) -> None:
    """From every room, as a file; no secret is in it, and it is written down who asked."""
    await house.ask("ann", "PUT", "/users/{ann}", json={"username": "annie", "bio": "Hello"})
    for who in ("ann", "admin"):
        answer = await house.ask(who, "GET", "/users/{ann}/export")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="veza-{house.id("ann")}.json"'
        assert answer.headers["cache-control"] == "no-store"
        found = answer.json()["data"]
        assert set(found) == {"exported_at", "account", "songs"}
        assert found["account"]["user"]["email"] == "ann@example.com"
        assert found["account"]["user"]["bio"] == "Hello"
        assert found["account"]["former_usernames"][0]["username_key"] == "ann-person"
        assert found["songs"] == ["A song of annie"]
        assert "never checked here" not in answer.text
        assert "password" not in answer.text
        assert "totp" not in answer.text
    assert (await house.events())[-2:] == ["user.exported"] * 2


async def test_an_export_is_whole_or_an_error(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """U8, G28, X5, X7: what fails while it is made is said, and nothing is left; HEAD is without it."""

    async def pieces() -> AsyncIterator[list[str]]:
        yield ["a"]
        raise Unavailable

    async def fail(*_: object) -> Any:
        return pieces()

    whole = await house.ask("ann", "GET", "/users/{ann}/export")
    assert int(whole.headers["content-length"]) == len(whole.content)
    head = await house.ask("ann", "HEAD", "/users/{ann}/export")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    exports = house.given["exports"]
    with monkeypatch.context() as broken:
        broken.setattr(exports, "_holdings", [*exports._holdings, Holding("last", fail)])
        answer = await house.ask("ann", "GET", "/users/{ann}/export")
        assert (answer.status_code, answer.json()["success"]) == (503, False)
    for number, status in ((errno.ENOSPC, 507), (errno.EMFILE, 503)):
        with monkeypatch.context() as full:
            full.setattr("tempfile.TemporaryFile", Mock(side_effect=OSError(number, "no")))
            assert (await house.ask("ann", "GET", "/users/{ann}/export")).status_code == status

    async def hang(*_: object) -> Any:
        await asyncio.sleep(60)

    with monkeypatch.context() as lost:
        lost.setattr("veza.rooms.accounts.exporting._PATIENCE", 0.01)
        lost.setattr(exports, "_holdings", [Holding("last", hang)])
        assert (await house.ask("ann", "GET", "/users/{ann}/export")).status_code == 503
    assert (await house.events()).count("user.exported") == 2
    assert not list(house.storage.scratch.iterdir())
    with monkeypatch.context() as crowded:
        crowded.setattr(exports._turns, "_here", 101)
        assert (await house.ask("ann", "GET", "/users/{ann}/export")).status_code == 503


@pytest.mark.usefixtures("still")
async def test_exports_have_a_limit_of_their_own(house: House) -> None:
    """G17: of whoever asks; those that are not theirs to have are not counted."""
    for _ in range(31):
        assert (await house.ask("ben", "GET", "/users/{ann}/export")).status_code == 403
    statuses = [(await house.ask("ben", "GET", "/users/{ben}/export")).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    refused = await house.ask("ben", "GET", "/users/{ben}/export")
    assert int(refused.headers["retry-after"]) in (3_600, 3_601), "rounded up"
    assert refused.headers["x-ratelimit-limit"] == "30"
    assert (await house.ask("ann", "GET", "/users/{ann}/export")).status_code == 200


async def test_many_get_their_data_at_once(house: House) -> None:
    """G28: more than there are connections; nobody keeps one while they wait for another."""
    answers = await asyncio.gather(*(house.ask("ann", "GET", "/users/{ann}/export") for _ in range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await house.events()).count("user.exported") == 24


async def test_an_admin_gives_roles(house: House) -> None:
    """U1, U2: it is written down; what is no role is refused."""
    answer = await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "creator"})
    user = {"id": str(house.id("ann")), "username": "ann-person", "role": "creator"}
    assert (answer.status_code, answer.json()["data"]) == (200, {"user": user})
    assert (
        await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "creator"})
    ).status_code == 200
    assert (await house.events()).count("user.role_changed") == 1
    for body in ({"role": "king"}, {"role": None}, {}, {"role": "user", "id": "x"}):
        assert (await house.ask("admin", "PUT", "/admin/users/{ann}/role", json=body)).status_code == 422
    assert await role_of(house, "ann") == "creator"
    await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "admin"})
    assert (
        await house.ask("ann", "PUT", "/admin/users/{ben}/role", json={"role": "moderator"})
    ).status_code == 200


async def test_whoever_caches_roles_is_told_that_one_changed(house: House) -> None:
    """A28: a new role, name or address, and the end of an account, count at once."""
    told: list[str] = []
    house.database.listen("veza_accounts", lambda: told.append("changed"))
    await house.database.start()
    await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "creator"})
    await house.ask("ann", "PUT", "/users/{ann}", json={"username": "annie"})
    await house.ask("admin", "DELETE", "/users/{ann}")
    async with asyncio.timeout(30):
        while len(told) < 3:  # noqa: ASYNC110 - told by a call
            await asyncio.sleep(0.02)


async def test_the_last_admin_remains_one(house: House) -> None:
    """N9: neither by a role nor by leaving."""
    for answer in (
        await house.ask("admin", "PUT", "/admin/users/{admin}/role", json={"role": "user"}),
        await house.ask("admin", "DELETE", "/users/{admin}", json={"password": PASSWORD}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "LAST_ADMIN")
    assert (
        await house.ask("admin", "PUT", "/admin/users/{admin}/role", json={"role": "admin"})
    ).status_code == 200
    await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "admin"})
    assert (
        await house.ask("ann", "PUT", "/admin/users/{admin}/role", json={"role": "user"})
    ).status_code == 200
    assert await role_of(house, "ann") == "admin"


async def test_an_admin_who_is_suspended_does_not_count(house: House) -> None:
    """N9: whoever remains must be able to act."""
    await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "admin"})
    await house.suspend("ann")
    for answer in (
        await house.ask("admin", "PUT", "/admin/users/{admin}/role", json={"role": "user"}),
        await house.ask("admin", "DELETE", "/users/{admin}", json={"password": PASSWORD}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "LAST_ADMIN")
    answer = await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "user"})
    assert answer.status_code == 200


async def test_two_admins_who_depose_each_other_leave_one(house: House) -> None:
    """N9: in a race too, and with one who deletes and one who deposes."""
    for _ in range(5):
        await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "admin"})
        answers = await asyncio.gather(
            house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "user"}),
            house.ask("ann", "PUT", "/admin/users/{admin}/role", json={"role": "user"}),
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])
        if await role_of(house, "admin") != "admin":
            assert (
                await house.ask("ann", "PUT", "/admin/users/{admin}/role", json={"role": "admin"})
            ).is_success
    await house.ask("admin", "PUT", "/admin/users/{ann}/role", json={"role": "admin"})
    await asyncio.gather(
        house.ask("admin", "DELETE", "/users/{ann}"),
        house.ask("ann", "PUT", "/admin/users/{admin}/role", json={"role": "user"}),
    )
    assert (await house.database.rows("SELECT count(*) FROM users WHERE role = 'admin'")) == [(1,)]


async def test_nobody_stores_more_than_their_quota(house: House) -> None:
    """However many uploads begin at once; what is given back can be used again, but never more."""

    async def reserve() -> bool:
        try:
            async with house.database.write() as tx:
                await quota.reserve(tx, house.id("ann"), 30, 100)
        except QuotaExceeded:
            return False
        return True

    assert sorted(await asyncio.gather(*(reserve() for _ in range(8)))) == [False] * 5 + [True] * 3
    async with house.database.write() as tx:
        assert (await quota.usage(tx, house.id("ann"))).storage_used == 90
        await quota.release(tx, house.id("ann"), 30)
        await quota.reserve(tx, house.id("ann"), 40, 100)
        await quota.release(tx, house.id("ann"), 500)
        assert (await quota.usage(tx, house.id("ann"))).storage_used == 0
        await quota.release(tx, new_id(), 5)
    async with house.database.write() as tx:
        with pytest.raises(QuotaExceeded):
            await quota.reserve(tx, house.id("ann"), 101, 100)
        # Who is deleted while their upload comes in hears that, and nothing of a quota.
        with pytest.raises(UserNotFound):
            await quota.reserve(tx, new_id(), 1, 100)


async def test_a_quota_is_for_its_user_and_admins(house: House) -> None:
    """By role; a limit of nothing is full."""
    ann, admin, ben = (
        Member(id=house.id(name), session_id=new_id(), role="admin" if name == "admin" else "user")
        for name in ("ann", "admin", "ben")
    )
    async with house.database.write() as tx:
        await quota.reserve(tx, ann.id, 333, 1000)
        for actor in (ann, admin):
            assert await quota.get(tx, actor, ann.id, 1000) == quota.Quota(333, 1000, 667, 33.3)
        for actor in (ben, GUEST):
            with pytest.raises(Forbidden):
                await quota.get(tx, actor, ann.id, 1000)
        assert (await quota.get(tx, admin, admin.id, 1000)).limit == 10_000
        assert (await quota.get(tx, ann, ann.id, 0)) == quota.Quota(333, 0, 0, 100.0)
        with pytest.raises(UserNotFound):
            await quota.get(tx, admin, new_id(), 1000)

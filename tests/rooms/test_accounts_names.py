"""Making accounts, and whose a name or an address is."""
# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
from pathlib import Path

import pytest

from tests.rooms.accounts_house import House, days, house  # noqa: F401 - a fixture
from tests.world import open_world
from veza.access.passwords import PasswordHasher
from veza.core.db import Database
from veza.core.errors import VezaError
from veza.core.text import BadValue
from veza.rooms.accounts import admin, service, store
from veza.rooms.accounts.errors import EmailTaken, UsernameTaken
from veza.rooms.accounts.store import User


async def make(house: House, username: str, email: str) -> User:
    async with house.database.write() as tx:
        return await service.create_user(tx, username=username, email=email, password_hash="-")


async def is_available(house: House, username: str) -> bool:
    answer = await house.ask("guest", "GET", "/auth/check-username", params={"username": username})
    assert answer.status_code == 200
    assert answer.json()["data"]["username"] == username
    found: bool = answer.json()["data"]["available"]
    return found


async def rename(house: House, who: str, username: str) -> tuple[int, str]:
    answer = await house.ask(who, "PUT", f"/users/{{{who}}}", json={"username": username})
    return answer.status_code, answer.json().get("error", {}).get("code", "")


async def test_a_name_and_an_address_are_somebodys_whatever_their_case(house: House) -> None:
    """A1, A3: an account can be made once for each name and for each address."""
    with pytest.raises(UsernameTaken):
        await make(house, "ANN-Person", "new@example.com")
    with pytest.raises(EmailTaken):
        await make(house, "new-person", "Ann@example.com")
    made = await make(house, "new-person", "new@example.com")
    assert (made.role, made.email_verified, made.storage_used) == ("user", False, 0)
    assert (await house.events())[-1] == "auth.registered"


async def test_of_ten_who_register_at_once_one_succeeds(house: House) -> None:
    """A2: with the same name, or the same address."""
    for names in (
        [("zoe", f"zoe{n}@example.com") for n in range(10)],
        [(f"max{n}", "max@example.com") for n in range(10)],
    ):
        results = await asyncio.gather(*(make(house, *pair) for pair in names), return_exceptions=True)
        assert sum(isinstance(result, User) for result in results) == 1
        assert sum(isinstance(result, UsernameTaken | EmailTaken) for result in results) == 9


async def test_whether_a_name_is_available(house: House) -> None:
    """A4, A22: as registering would have it; and addresses are not asked about here."""
    assert await is_available(house, "somebody-new")
    for username in (
        "ann-person", "Ann-PERSON", "admin", "a.d.m.i.n", "me", "null", ".", "../", "🎵🎵🎵", "x", "x" * 65,
        "ann@example.com", "", "аdmin",  # noqa: RUF001 - the first letter is Cyrillic: that is the point
    ):  # fmt: skip
        assert not await is_available(house, username)


@pytest.mark.usefixtures("still")
async def test_names_are_not_tried_out_by_the_thousand(database: Database, tmp_path: Path) -> None:
    """A22: each question counts, whatever its answer."""
    limits = {"rate_limit_enabled": True, "rate_limit_global": "4/min"}
    async with open_world(database, tmp_path, **limits) as world:
        names = ("somebody-new", "admin", "-", "x" * 65, "another")
        answers = [await world.guest.get("/auth/check-username", params={"username": n}) for n in names]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert [answer.json()["data"]["available"] for answer in answers[:4]] == [True, False, False, False]


async def test_check_username_needs_a_name(house: House) -> None:
    assert (await house.ask("guest", "GET", "/auth/check-username")).status_code == 400


async def test_a_name_given_up_is_held_for_thirty_days(house: House) -> None:
    """U3: so that nobody can pose as who was known by it; but its owner may come back to it."""
    assert (await rename(house, "ann", "annie"))[0] == 200
    assert not await is_available(house, "ann-person")
    assert await rename(house, "ben", "Ann-Person") == (409, "USERNAME_TAKEN")
    with pytest.raises(UsernameTaken):
        await make(house, "ann-person", "new@example.com")
    assert (await rename(house, "ann", "ann-person"))[0] == 200
    assert not await is_available(house, "annie")
    assert await rename(house, "ben", "annie") == (409, "USERNAME_TAKEN")
    with days(29.9):
        assert await rename(house, "ben", "annie") == (409, "USERNAME_TAKEN")
    with days(30.1):
        assert await is_available(house, "annie")
        assert (await rename(house, "ben", "annie"))[0] == 200


async def test_capitals_change_without_a_new_name(house: House) -> None:
    assert (await rename(house, "ann", "Ann-Person"))[0] == 200
    async with house.database.read() as view:
        assert await store.list_held(view, house.id("ann")) == []
    assert (await house.profile("guest", "ann"))["username"] == "Ann-Person"


async def test_names_cannot_be_hoarded(house: House) -> None:
    """U3: who changes their name again and again keeps only so many from others."""
    for number in range(5):
        assert (await rename(house, "ann", f"ann-{number}"))[0] == 200
    assert await rename(house, "ann", "ann-5") == (409, "TOO_MANY_USERNAMES")
    assert await is_available(house, "ann-5")
    with days(31):
        assert (await rename(house, "ann", "ann-5"))[0] == 200


async def test_of_many_who_want_one_name_one_gets_it(house: House) -> None:
    """U3: the race for a free name, and the one for a name that is given up in this moment."""
    await house.move_in("cat", "dan", "eve")
    people = ["ann", "ben", "cat", "dan", "eve"]
    answers = await asyncio.gather(*(rename(house, who, "the-one") for who in people))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    winner = people[[status for status, _ in answers].index(200)]
    others = [who for who in people if who != winner]
    answers = await asyncio.gather(
        rename(house, winner, "another"), *(rename(house, who, "the-one") for who in others)
    )
    assert [status for status, _ in answers] == [200, 409, 409, 409, 409]


async def test_an_operator_makes_accounts_that_are_verified(house: House) -> None:
    """A30: the first admin comes from the command line; the same rules hold there."""
    hasher, good = PasswordHasher(), "four quiet green hills"
    made = await admin.create_user(
        house.database, hasher, username="Boss-1", email="boss@EXAMPLE.com", password=good, admin=True
    )
    assert (made.role, made.email, made.email_verified) == ("admin", "boss@example.com", True)
    assert await house.work() == 0
    for username, email, password, problem in [
        ("root", "b@example.com", good, BadValue),
        ("boss-2", "b@example@com", good, BadValue),
        ("boss-2", "b@example.com\r\nBcc: x@example.com", good, BadValue),
        ("boss-2", "b@example.com", "password1234", BadValue),
        ("boss-1", "b@example.com", good, UsernameTaken),
    ]:
        with pytest.raises((BadValue, VezaError)) as error:
            await admin.create_user(
                house.database, hasher, username=username, email=email, password=password, admin=False
            )
        assert error.type is problem
    hasher.close()

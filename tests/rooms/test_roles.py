"""The roles that there are."""

# ruff: noqa: F811 - a fixture is asked for by its name
import pytest

from tests.rooms.accounts_house import House, house  # noqa: F401 - a fixture
from veza.core.ids import new_id


async def test_guests_do_not_see_the_roles(house: House) -> None:
    """N7: the list needs a token."""
    assert (await house.ask("guest", "GET", "/roles")).status_code == 401
    assert (await house.ask("guest", "GET", f"/roles/{new_id()}")).status_code == 401


@pytest.mark.parametrize("who", ["ann", "mod", "admin"])
async def test_everybody_signed_in_sees_the_same_roles(house: House, who: str) -> None:
    """N7: what a role may do is no secret."""
    found = (await house.ask(who, "GET", "/roles")).json()["data"]["roles"]
    held = {role["name"]: role["permissions"] for role in found}
    assert held["admin"] == ["all"]
    assert set(held) == {"user", "creator", "moderator", "admin"}
    assert "tracks.moderate" in held["moderator"]
    assert "tracks.moderate" not in held["user"]


async def test_a_role_is_found_by_an_id_that_is_always_the_same(house: House) -> None:
    answer = await house.ask("ann", "GET", "/roles/f4aa9066-7077-5f36-874e-ecf380ad8de1")
    listed = (await house.ask("ann", "GET", "/roles")).json()["data"]["roles"]
    for role in listed:
        one = await house.ask("ann", "GET", f"/roles/{role['id']}")
        assert one.json() == {"success": True, "data": {"role": role}}
    assert answer.json()["data"]["role"]["name"] == "admin"


async def test_there_is_no_other_role(house: House) -> None:
    """N8: an unknown id is 404, and what is no id is 400."""
    answer = await house.ask("ann", "GET", f"/roles/{new_id()}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ROLE_NOT_FOUND")
    assert (await house.ask("ann", "GET", "/roles/admin")).status_code == 400

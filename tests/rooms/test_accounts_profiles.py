"""Profiles: who sees what of them, and who may change them."""
# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
from typing import Any

from tests.rooms.accounts_house import House, house  # noqa: F401 - a fixture
from veza.core.ids import new_id

CHANGES = {
    "bio": "Makes noise.\nAnd silence.",
    "first_name": "Ann",
    "last_name": "Persson",
    "location": "Malmö, Sweden",
    "gender": "Female",
}
KEYS = {
    "id", "username", "email", "bio", "avatar", "first_name", "last_name", "location", "gender", "created_at",
    "follower_count",
    "following_count",
}  # fmt: skip
PRIVATE = ("email", "first_name", "last_name", "gender")

# who asks, for what, with which body, and the status that they get
ROWS: list[tuple[str, str, str, Any, int]] = [
    *((who, "GET", "/users/{ann}", None, 200) for who in ("guest", "ben", "ann", "mod", "admin")),
    *((who, "GET", "/users/by-username/ann-person", None, 200) for who in ("guest", "ben", "ann", "admin")),
    ("guest", "PUT", "/users/{ann}", {"bio": "x"}, 401),
    ("ben", "PUT", "/users/{ann}", {"bio": "x"}, 403),
    ("mod", "PUT", "/users/{ann}", {"bio": "x"}, 403),
    ("ann", "PUT", "/users/{ann}", {"bio": "x"}, 200),
    ("admin", "PUT", "/users/{ann}", {"bio": "x"}, 200),
    ("guest", "GET", "/users/{ann}/completion", None, 401),
    ("ben", "GET", "/users/{ann}/completion", None, 403),
    ("mod", "GET", "/users/{ann}/completion", None, 403),
    ("ann", "GET", "/users/{ann}/completion", None, 200),
    ("admin", "GET", "/users/{ann}/completion", None, 200),
    ("guest", "GET", "/users/{ann}/export", None, 401),
    ("ben", "GET", "/users/{ann}/export", None, 403),
    ("mod", "GET", "/users/{ann}/export", None, 403),
    ("ann", "GET", "/users/{ann}/export", None, 200),
    ("admin", "GET", "/users/{ann}/export", None, 200),
    *((who, "GET", "/users/{ann}/avatar", None, 404) for who in ("guest", "ben", "ann")),
    ("guest", "DELETE", "/users/{ann}/avatar", None, 401),
    ("ben", "DELETE", "/users/{ann}/avatar", None, 403),
    ("mod", "DELETE", "/users/{ann}/avatar", None, 403),
    ("ann", "DELETE", "/users/{ann}/avatar", None, 200),
    ("admin", "DELETE", "/users/{ann}/avatar", None, 200),
    ("guest", "PUT", "/admin/users/{ann}/role", {"role": "creator"}, 401),
    ("ann", "PUT", "/admin/users/{ann}/role", {"role": "admin"}, 403),
    ("mod", "PUT", "/admin/users/{ann}/role", {"role": "creator"}, 403),
    ("admin", "PUT", "/admin/users/{ann}/role", {"role": "creator"}, 200),
    ("guest", "DELETE", "/users/{ann}", {"password": "x"}, 401),
    ("ben", "DELETE", "/users/{ann}", {"password": "x"}, 403),
    ("mod", "DELETE", "/users/{ann}", {"password": "x"}, 403),
]


async def test_who_may_do_what(house: House) -> None:
    """U1, U7: one row for each caller and endpoint."""
    for who, method, path, body, status in ROWS:
        answer = await house.ask(who, method, path, json=body)
        assert (who, method, path, answer.status_code) == (who, method, path, status)


async def test_who_is_not_there_is_404_and_what_is_no_id_400(house: House) -> None:
    """G33, U8: for every endpoint, whoever asks."""
    for method, rest, body in [
        ("GET", "", None), ("PUT", "", {"bio": "x"}), ("DELETE", "", None), ("GET", "/completion", None),
        ("GET", "/export", None), ("GET", "/avatar", None), ("DELETE", "/avatar", None),
    ]:  # fmt: skip
        answer = await house.ask("admin", method, f"/users/{new_id()}{rest}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "USER_NOT_FOUND")
        assert (await house.ask("admin", method, f"/users/1{rest}", json=body)).status_code == 400
    role = {"role": "user"}
    assert (await house.ask("admin", "PUT", f"/admin/users/{new_id()}/role", json=role)).status_code == 404


async def test_a_profile_shows_to_others_only_what_is_public(house: House) -> None:
    """U4: every key is there; what is private is null unless the viewer is that user or an admin."""
    answer = await house.ask("ann", "PUT", "/users/{ann}", json=CHANGES)
    written = answer.json()["data"]["profile"]
    assert set(written) == KEYS
    assert {name: written[name] for name in CHANGES} == CHANGES
    for viewer in ("ann", "admin"):
        assert await house.profile(viewer, "ann") == written
    assert written["email"] == "ann@example.com"
    for viewer in ("guest", "ben", "mod"):
        assert await house.profile(viewer, "ann") == written | dict.fromkeys(PRIVATE)
    assert (await house.events())[-2:] == ["auth.registered", "user.updated"]


async def test_a_profile_is_found_by_its_name_in_any_case(house: House) -> None:
    """U5: one user or none, whatever is asked for."""
    by_id = await house.profile("guest", "ann")
    for username in ("ann-person", "ANN-PERSON"):
        answer = await house.ask("guest", "GET", f"/users/by-username/{username}")
        assert answer.json()["data"]["profile"] == by_id
    for username in (
        "nobody",
        "%00",
        "ann%00",
        "%2f",
        "ann-person%2f..",
        "%",
        "ann'--",
        "%F0%9F%8E%B5",
        "x" * 3000,
    ):
        answer = await house.ask("guest", "GET", f"/users/by-username/{username}")
        assert answer.status_code == 404


async def test_what_is_sent_is_kept_as_it_is(house: House) -> None:
    """U6, G8: markup is text; a field left out stays, and null empties it."""
    bio = "<script>alert(1)</script> {{7*7}} '; DROP TABLE users; -- 🎵 \u05d0\u05d1"
    assert (
        await house.ask("ann", "PUT", "/users/{ann}", json={"bio": bio, "gender": "x"})
    ).status_code == 200
    assert (await house.ask("ann", "PUT", "/users/{ann}", json={"location": "e\u0301"})).status_code == 200
    found = await house.profile("ann", "ann")
    assert (found["bio"], found["gender"], found["location"]) == (bio, "x", "é")
    assert (await house.ask("ann", "PUT", "/users/{ann}", json={"bio": None})).json()["data"]["profile"][
        "bio"
    ] is None
    assert (await house.ask("ann", "PUT", "/users/{ann}", json={})).status_code == 200


async def test_what_a_profile_does_not_take(house: House) -> None:
    """U2, U6, U9, G6, G7, A4: 422 that names the field, and nothing changed."""
    before = await house.profile("ann", "ann")
    for field, value, code in [
        *((name, "x", "UNKNOWN_FIELD") for name in (
            "role", "email", "id", "email_verified", "is_admin", "created_at", "avatar", "password_hash",
            "storage_used",
        )),
        ("username", None, "INVALID"), ("username", "ab", "USERNAME_INVALID"),
        ("username", "admin", "USERNAME_RESERVED"),
        ("username", "аnn", "USERNAME_INVALID"),  # noqa: RUF001 - a Cyrillic letter
        ("bio", "x" * 2001, "TOO_LONG"), ("bio", 7, "INVALID"), ("bio", ["x"], "INVALID"),
        ("bio", "a\0b", "INVALID"),
        ("bio", "\u202egnp.exe", "INVALID_CHARACTER"), ("first_name", "x" * 101, "TOO_LONG"),
        ("last_name", "a\nb", "INVALID_CHARACTER"), ("location", "e" + "\u0301" * 9, "TOO_MANY_MARKS"),
        ("gender", "x" * 33, "TOO_LONG"),
    ]:  # fmt: skip
        answer = await house.ask("ann", "PUT", "/users/{ann}", json={"location": "Mars", field: value})
        assert answer.status_code == 422
        [detail] = answer.json()["error"]["details"]
        assert (detail["field"], detail["code"]) == (field, code)
    assert await house.profile("ann", "ann") == before


async def test_a_body_must_be_json(house: House) -> None:
    """G3, G5: for the endpoints with a body."""
    for path in ("/users/{ann}", "/admin/users/{ann}/role"):
        answer = await house.ask(
            "admin", "PUT", path, content=b"{", headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400
        assert (
            await house.ask("admin", "PUT", path, content=b"{}", headers={"content-type": "text/plain"})
        ).status_code == 415


async def test_an_edit_of_what_has_changed_meanwhile_is_refused(house: House) -> None:
    """G30: with If-Match; without, the last writer wins."""
    read = await house.ask("ann", "GET", "/users/{ann}")
    tag = {"if-match": read.headers["etag"]}
    assert (
        await house.ask("ann", "PUT", "/users/{ann}", json={"bio": "one"}, headers=tag)
    ).status_code == 200
    stale = await house.ask("ann", "PUT", "/users/{ann}", json={"bio": "two"}, headers=tag)
    assert (stale.status_code, stale.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    assert (await house.ask("ann", "PUT", "/users/{ann}", json={"bio": "two"})).status_code == 200
    assert (await house.profile("guest", "ann"))["bio"] == "two"


async def test_of_many_edits_of_one_state_one_succeeds(house: House) -> None:
    """G30: If-Match holds at the moment of writing, not before."""
    tag = {"if-match": (await house.ask("ann", "GET", "/users/{ann}")).headers["etag"]}
    answers = await asyncio.gather(
        *(house.ask("ann", "PUT", "/users/{ann}", json={"bio": str(n)}, headers=tag) for n in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_edits_of_different_fields_at_once_are_all_kept(house: House) -> None:
    """G30: nothing that was not sent is written back."""
    await asyncio.gather(
        *(house.ask("ann", "PUT", "/users/{ann}", json={name: value}) for name, value in CHANGES.items())
    )
    found = await house.profile("ann", "ann")
    assert {name: found[name] for name in CHANGES} == CHANGES


async def test_a_cache_is_told_what_is_whose(house: House) -> None:
    """G32: a signed-in answer is for its reader alone, and no tag of one is good for another."""
    own, guest = (
        await house.ask("ann", "GET", "/users/{ann}"),
        await house.ask("guest", "GET", "/users/{ann}"),
    )
    assert own.headers["cache-control"] == "private, no-store"
    assert guest.headers["cache-control"] == "public, no-cache"
    assert own.headers["vary"] == guest.headers["vary"] == "Authorization"
    tag = {"if-none-match": own.headers["etag"]}
    assert (await house.ask("ann", "GET", "/users/{ann}", headers=tag)).status_code == 304
    assert (await house.ask("guest", "GET", "/users/{ann}", headers=tag)).status_code == 200


async def test_completion_counts_eight_things(house: House) -> None:
    """What is missing has a name; each thing is an eighth."""
    found = (await house.ask("ann", "GET", "/users/{ann}/completion")).json()["data"]
    missing = ["bio", "avatar", "first_name", "last_name", "location", "email_verified"]
    assert found == {"completion_percentage": 25, "missing_fields": missing}
    await house.ask("ann", "PUT", "/users/{ann}", json=CHANGES)
    found = (await house.ask("ann", "GET", "/users/{ann}/completion")).json()["data"]
    assert found == {"completion_percentage": 75, "missing_fields": ["avatar", "email_verified"]}
    await house.ask("ann", "PUT", "/users/{ann}", json={"bio": ""})
    found = (await house.ask("ann", "GET", "/users/{ann}/completion")).json()["data"]
    assert found == {"completion_percentage": 62, "missing_fields": ["bio", "avatar", "email_verified"]}

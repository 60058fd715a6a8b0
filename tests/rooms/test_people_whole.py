"""People in the whole application: what one room does to somebody shows in all the others at once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from tests.rooms.tracks_house import code, plant, short
from tests.world import PASSWORD, World, open_world
from veza.core import clock
from veza.core.db import Database

__all__ = ["short"]

COUNTED = ("users", "sessions", "refresh_tokens", "recovery_codes", "mail_tokens", "tracks")


async def caused(world: World, kind: str) -> list[tuple[str | None, str]]:
    """Who caused the events of this kind, and from which address."""
    rows = await world.parts.database.rows(f"SELECT actor_id, ip FROM events WHERE kind = '{kind}'")
    return [(_text(actor), ip) for actor, ip in rows]


def _text(actor: UUID | bytes | None) -> str | None:
    return str(UUID(bytes=actor)) if isinstance(actor, bytes) else actor and str(actor)


async def test_a_role_counts_from_the_next_request(database: Database, tmp_path: Path) -> None:
    """A28, U1, N9: by the same token, in every room, and back again; who gave it is written down."""
    async with open_world(database, tmp_path) as world:
        olga, mona = await world.person("olga"), await world.person("mona")
        boss = await world.person("boss", "admin")
        hidden = await plant(world, olga, public=False)
        for role, status in (("user", 404), ("moderator", 200), ("user", 404)):
            assert (await boss.put(f"/admin/users/{mona.id}/role", json={"role": role})).status_code == 200
            assert (await mona.get("/auth/me")).json()["data"]["role"] == role
            assert (await mona.get(f"/tracks/{hidden}")).status_code == status
        assert await caused(world, "user.role_changed") == [(boss.id, "127.0.0.1")] * 2
        assert (await boss.put(f"/users/{mona.id}", json={"bio": "Edited"})).status_code == 200
        assert await caused(world, "user.updated") == [(boss.id, "127.0.0.1")]


async def test_the_end_of_an_account_shows_everywhere(database: Database, tmp_path: Path) -> None:
    """U8, A18, T9: tokens, tracks, counts and name go in one moment; a login is one of an unknown account."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        track = await plant(world, olga)
        assert (await world.guest.get("/tracks")).json()["data"]["pagination"]["total"] == 1
        assert (await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})).status_code == 200
        for path in ("/auth/me", "/sessions", f"/tracks/{track}"):
            assert code(await olga.get(path)) == (401, "INVALID_TOKEN")
        renewed = await world.guest.post("/auth/refresh", json={"refresh_token": olga.refresh_token})
        assert code(renewed) == (401, "INVALID_TOKEN")
        form = {"email": "olga@example.com", "password": PASSWORD}
        assert code(await world.guest.post("/auth/login", json=form)) == (401, "INVALID_CREDENTIALS")
        for path in (f"/users/{olga.id}", "/users/by-username/olga", f"/tracks/{track}"):
            assert (await stan.get(path)).status_code == 404
        listed = (await world.guest.get("/tracks")).json()["data"]
        assert (listed["tracks"], listed["pagination"]["total"]) == ([], 0)


async def test_an_account_ends_amid_its_own_requests(
    database: Database, tmp_path: Path, short: Callable[[str], Path]
) -> None:
    """U8, A18, T9: whatever is under way is done before or refused after; nothing outlives its account."""
    music = short("a.mp3").read_bytes()
    async with open_world(database, tmp_path) as world:
        stan = await world.person("stan")
        before = [await rows_of(database, table) for table in COUNTED]
        for name in ("ann", "ben"):
            who = await world.person(name)
            form = {"email": f"{name}@example.com", "password": PASSWORD}
            answers = await asyncio.gather(
                who.put(f"/users/{who.id}", json={"username": f"{name}-2"}),
                who.post("/tracks", files={"file": ("a.mp3", music)}),
                who.post("/auth/2fa/setup"),
                who.delete(f"/users/{who.id}", json={"password": PASSWORD}),
                world.guest.post("/auth/refresh", json={"refresh_token": who.refresh_token}),
                world.guest.post("/auth/login", json=form),
                who.post("/tracks", files={"file": ("b.mp3", music)}),
                who.get(f"/users/{who.id}/export"),
            )
            assert {answer.status_code for answer in answers} <= {200, 201, 401, 404, 409}
            assert answers[3].status_code == 200
            assert (await who.get("/auth/me")).status_code == 401
            assert (await stan.get(f"/users/{who.id}")).status_code == 404
        assert [await rows_of(database, table) for table in COUNTED] == before


async def test_registering_again_and_again_floods_no_mailbox(database: Database, tmp_path: Path) -> None:
    """A25, G17: three mails come of registrations, as many as asked for again; the account itself is made.

    They are counted apart: whoever asks for links to a stranger's address keeps its owner from none.
    """
    queued = "SELECT COUNT(*) FROM jobs WHERE kind = 'accounts.send_verification'"
    limits = {"rate_limit_enabled": True, "rate_limit_login": "99/min"}
    secret = {"password": PASSWORD, "password_confirm": PASSWORD}
    async with open_world(database, tmp_path, **limits) as world:
        asked = {"email": "victim@example.com"}
        for _ in range(3):
            assert (await world.guest.post("/auth/resend-verification", json=asked)).status_code == 200
        assert await database.rows(queued) == [(3,)]  # which will find nobody to write to
        for number in range(5):
            form = {"username": f"eve-{number}", "email": "Victim@example.com", **secret}
            made = await world.guest.post("/auth/register", json=form)
            assert made.status_code == 201
            token = {"Authorization": f"Bearer {made.json()['data']['token']['access_token']}"}
            eve = world.client(token)
            path = f"/users/{made.json()['data']['user']['id']}"
            if number < 4:
                assert (await eve.request("DELETE", path, json={"password": PASSWORD})).status_code == 200
        assert await database.rows(queued) == [(6,)]
        again = await world.guest.post("/auth/resend-verification", json=asked)
        assert code(again) == (429, "RATE_LIMITED")
        with clock.shifted(timedelta(minutes=61)):
            again = await world.guest.post("/auth/resend-verification", json=asked)
        assert again.status_code == 200
        assert await database.rows(queued) == [(7,)]


async def rows_of(database: Database, table: str) -> int:
    return int((await database.rows(f"SELECT COUNT(*) FROM {table}"))[0][0])

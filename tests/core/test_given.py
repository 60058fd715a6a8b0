"""Two applications in one process share their routes, and nothing else."""

import asyncio
from datetime import timedelta

from tests.world import PASSWORD, open_world
from veza.core import clock
from veza.core.db import Database, open_database
from veza.core.db.migrate import upgrade


async def test_two_applications_share_nothing_but_code(database: Database, tmp_path) -> None:
    """G1, G32: what is of the one is unknown to the other, whether they are asked at once or in turn."""
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    await upgrade(other)
    limits = {"rate_limit_enabled": True, "rate_limit_global": "3/min"}
    async with (
        open_world(database, tmp_path / "here") as here,
        open_world(other, tmp_path / "there", **limits) as there,
    ):
        assert here.app.app is there.app.app
        ada = await here.person("ada")
        path = f"/users/{ada.id}"
        answers = await asyncio.gather(*(world.guest.get(path) for world in (here, there) * 3))
        assert [answer.status_code for answer in answers] == [200, 404] * 3
        assert "x-ratelimit-limit" not in answers[0].headers
        assert (await there.guest.get(path)).status_code == 429
        assert (await here.guest.get(path)).status_code == 200
        stranger = there.client({"Authorization": ada.client.headers["authorization"]})
        with clock.shifted(timedelta(seconds=61)):
            assert (await stranger.get("/auth/me")).json()["error"]["code"] == "INVALID_TOKEN"
            assert (await ada.get("/auth/me")).status_code == 200
            login = {"email": "ada@example.com", "password": PASSWORD}
            assert (await there.guest.post("/auth/login", json=login)).status_code == 401
        there.parts.readiness.drain()
        assert (await here.guest.get("http://veza.test/readyz")).status_code == 200
        assert (await there.guest.get("http://veza.test/readyz")).status_code == 503
    await other.close()

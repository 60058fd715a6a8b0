"""D2: who may do what under /admin, for every route that the router knows there."""

import re
from pathlib import Path

from litestar.routes import HTTPRoute

from tests.world import World, open_world
from veza.core.db import Database
from veza.core.ids import new_id

# What moderators may do as well as admins; everything else is admins' alone.
MODERATORS_TOO = {
    "GET /admin/reports",
    "POST /admin/reports/{report_id}/resolve",
    "POST /admin/reports/{report_id}/revoke",
}
ROLES = ("user", "creator", "moderator", "admin")


def routes(world: World) -> list[tuple[str, str]]:
    """Method and path of everything under /admin."""
    return sorted(
        (method, route.path_format.removeprefix("/api/v1"))
        for route in world.app.app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith("/api/v1/admin/")
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    )


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """D2: a guest is told to sign in, all others that it is not for them, whatever they send."""
    async with open_world(database, tmp_path) as world:
        cast = {role: await world.person(f"some_{role}", role) for role in ROLES}
        assert len(routes(world)) > 2
        for method, path in routes(world):
            here = re.sub(r"{\w+}", str(new_id()), path)
            body = {} if method in {"GET", "DELETE"} else {"json": BODIES.get(f"{method} {path}", {})}
            answer = await world.guest.client.request(method, here, **body)
            assert answer.status_code == 401, (method, path)
            for role, person in cast.items():
                answer = await person.client.request(method, here, **body)
                allowed = role == "admin" or (role == "moderator" and f"{method} {path}" in MODERATORS_TOO)
                assert (answer.status_code == 403) is not allowed, (role, method, path, answer.text)
                assert answer.status_code not in {401, 405, 422, 500}, (role, method, path, answer.text)


# What is refused for its sense before anybody is told what they may not do.
BODIES = {
    "PUT /admin/users/{user_id}/role": {"role": "user"},
    "POST /admin/users/{user_id}/suspend": {"reason": "Spam"},
    "POST /admin/reports/{report_id}/resolve": {"action": "dismiss"},
    "POST /admin/jobs/retry": {"kind": "no.such"},
    "PUT /admin/payouts/{payout_id}": {"status": "paid"},
}

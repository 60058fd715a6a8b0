"""The feed over HTTP."""

from typing import Annotated

from litestar.params import Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, reply
from veza.core.pages import MAX_LIMIT
from veza.rooms.feed import service
from veza.rooms.feed.schemas import Feed


@Route("/feed", http_method="GET")
async def get_feed(
    tx: InTx,
    actor: Me,
    before: Annotated[str | None, Parameter(max_length=64)] = None,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[Feed]:
    """Get what is new by whom you follow."""
    return reply(await service.read(tx, actor, before, limit))


ROUTES = [get_feed]

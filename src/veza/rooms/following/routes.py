"""Following over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me, Viewer
from veza.core.http import InTx, Reply, Route, Said, reply, said
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.following import blocks, service
from veza.rooms.following.blocks import ForgetMember
from veza.rooms.following.schemas import Between, Blocks, Followers, Following, FollowOrder


@Route("/users/{user_id:str}/follow", http_method="POST", status_code=200)
async def follow_user(tx: InTx, actor: Me, user_id: UUID) -> Reply[Said]:
    """Follow a user."""
    await service.follow(tx, actor, user_id)
    return said("User followed")


@Route("/users/{user_id:str}/follow", http_method="DELETE", status_code=200)
async def unfollow_user(tx: InTx, actor: Me, user_id: UUID) -> Reply[Said]:
    """Take back a follow."""
    await service.unfollow(tx, actor, user_id)
    return said("User unfollowed")


@Route("/users/{user_id:str}/follow", http_method="GET")
async def get_follow(tx: InTx, actor: Me, user_id: UUID) -> Reply[Between]:
    """Get whether you and a user follow each other."""
    return reply(await service.find(tx, actor, user_id))


@Route("/users/{user_id:str}/followers", http_method="GET", opt={"public": True})
async def list_followers(
    tx: InTx,
    viewer: Viewer,
    user_id: UUID,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    sort_order: FollowOrder = "desc",
) -> Reply[Followers]:
    """List who follows a user."""
    return reply(await service.list_followers(tx, viewer, user_id, Page(page, limit), sort_order))


@Route("/users/{user_id:str}/following", http_method="GET", opt={"public": True})
async def list_following(
    tx: InTx,
    viewer: Viewer,
    user_id: UUID,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    sort_order: FollowOrder = "desc",
) -> Reply[Following]:
    """List whom a user follows."""
    return reply(await service.list_following(tx, viewer, user_id, Page(page, limit), sort_order))


@Route("/users/{user_id:str}/block", http_method="POST", status_code=200)
async def block_user(tx: InTx, actor: Me, forget_member: ForgetMember, user_id: UUID) -> Reply[Said]:
    """Block a user."""
    await blocks.block(tx, actor, user_id, forget_member)
    return said("User blocked")


@Route("/users/{user_id:str}/block", http_method="DELETE", status_code=200)
async def unblock_user(tx: InTx, actor: Me, forget_member: ForgetMember, user_id: UUID) -> Reply[Said]:
    """Take back a block."""
    await blocks.unblock(tx, actor, user_id, forget_member)
    return said("User unblocked")


@Route("/users/{user_id:str}/blocks", http_method="GET")
async def list_blocks(
    tx: InTx,
    actor: Me,
    user_id: UUID,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[Blocks]:
    """List whom you have blocked."""
    return reply(await blocks.list_blocks(tx, actor, user_id, Page(page, limit)))


ROUTES = [
    follow_user, unfollow_user, get_follow, list_followers, list_following,
    block_user, unblock_user, list_blocks,
]  # fmt: skip

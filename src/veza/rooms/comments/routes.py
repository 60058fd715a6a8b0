"""Comments over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me, Viewer
from veza.core.http import InTx, Reply, Route, Said, TheExchange, reply, said
from veza.core.idempotency import claim_body
from veza.core.limits import PersonalLimit
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.comments import service
from veza.rooms.comments.schemas import (
    CommentBody,
    CommentChanges,
    CommentDraft,
    CommentList,
    CommentOrder,
    CommentSort,
)

TheLimit = Annotated[PersonalLimit, Dependency(skip_validation=True)]


@Route("/tracks/{track_id:str}/comments", http_method="GET", opt={"public": True})
async def list_comments(
    tx: InTx,
    viewer: Viewer,
    track_id: UUID,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    sort_by: CommentSort = "created_at",
    sort_order: CommentOrder = "desc",
) -> Reply[CommentList]:
    """List the comments on a track."""
    found = await service.list_comments(tx, viewer, track_id, Page(page, limit), sort_by, sort_order)
    return reply(found)


@Route("/tracks/{track_id:str}/comments", http_method="POST", status_code=201)
async def post_comment(
    tx: InTx, actor: Me, exchange: TheExchange, comment_limit: TheLimit, track_id: UUID, data: CommentDraft
) -> Reply[CommentBody]:
    """Comment on a track."""
    await comment_limit.hit(actor.id, exchange)
    await claim_body(tx, exchange, actor.id, f"POST /tracks/{track_id}/comments", data)
    return reply(CommentBody(await service.post(tx, actor, track_id, data)))


@Route("/comments/{comment_id:str}", http_method="PUT")
async def edit_comment(tx: InTx, actor: Me, comment_id: UUID, data: CommentChanges) -> Reply[CommentBody]:
    """Change the words of a comment."""
    return reply(CommentBody(await service.edit(tx, actor, comment_id, data.content)))


@Route("/comments/{comment_id:str}", http_method="DELETE", status_code=200)
async def delete_comment(tx: InTx, actor: Me, comment_id: UUID) -> Reply[Said]:
    """Delete a comment."""
    await service.delete(tx, actor, comment_id)
    return said("Comment deleted successfully")


ROUTES = [list_comments, post_comment, edit_comment, delete_comment]

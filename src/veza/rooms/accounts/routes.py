"""The addresses of accounts."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import Dependency

from veza.access.actor import Me, Viewer
from veza.access.policy import Action
from veza.core.db import Database
from veza.core.delivery import FileAnswer
from veza.core.events import Context
from veza.core.http import (
    AnyRequest,
    InTx,
    Reply,
    Route,
    Said,
    TheExchange,
    check_unchanged,
    multipart,
    read_optional,
    reply,
    said,
)
from veza.core.json_file import JsonFileAnswer
from veza.core.limits import Limiter
from veza.rooms.accounts import deletion, profiles, service
from veza.rooms.accounts.avatars import TheAvatars
from veza.rooms.accounts.config import TheAccounts
from veza.rooms.accounts.deletion import PasswordProof
from veza.rooms.accounts.exporting import TheExports
from veza.rooms.accounts.holdings import Holdings
from veza.rooms.accounts.schemas import (
    Address,
    Availability,
    Completion,
    Leaving,
    PictureForm,
    Profile,
    ProfileBody,
    ProfileChanges,
    RoleChoice,
    UploadedPicture,
    UserBody,
    UserWithRole,
)

TheDatabase = Annotated[Database, Dependency(skip_validation=True)]
TheLimiter = Annotated[Limiter, Dependency(skip_validation=True)]


@Route("/auth/check-username", http_method="GET")
async def check_username(tx: InTx, username: str) -> Reply[Availability]:
    """Check if a username is available."""
    return reply(Availability(username, await service.is_available(tx, username)))


@Route("/auth/verify-email", http_method="POST", status_code=200)
async def verify_email(tx: InTx, token: str) -> Reply[Said]:
    """Verify an e-mail address."""
    await service.verify_email(tx, token)
    return said("Email verified successfully")


@Route("/auth/resend-verification", http_method="POST", status_code=200)
async def resend_verification(
    tx: InTx, limiter: TheLimiter, accounts: TheAccounts, data: Address, exchange: TheExchange
) -> Reply[Said]:
    """Resend the verification mail."""
    await service.request_verification(tx, limiter, accounts, data.email, exchange)
    return said("Verification email sent")


@Route("/users/{user_id:str}", http_method="GET", opt={"public": True})
async def get_user(tx: InTx, viewer: Viewer, accounts: TheAccounts, user_id: UUID) -> Reply[ProfileBody]:
    """Get a user's profile."""
    user = await profiles.get_visible(tx, viewer, user_id)
    return reply(ProfileBody(Profile.of(user, viewer, accounts.base_url)))


@Route("/users/by-username/{username:str}", http_method="GET", opt={"public": True})
async def get_user_by_username(
    tx: InTx, viewer: Viewer, accounts: TheAccounts, username: str
) -> Reply[ProfileBody]:
    """Get a user's profile by username."""
    user = await profiles.get_by_username(tx, viewer, username)
    return reply(ProfileBody(Profile.of(user, viewer, accounts.base_url)))


@Route("/users/{user_id:str}", http_method="PUT", opt={"also": (412,)})
async def update_user(
    tx: InTx, actor: Me, exchange: TheExchange, accounts: TheAccounts, user_id: UUID, data: ProfileChanges
) -> Reply[ProfileBody]:
    """Update a profile."""
    user = await profiles.lock_for_edit(tx, actor, user_id)
    check_unchanged(exchange, reply(ProfileBody(Profile.of(user, actor, accounts.base_url))))
    changed = await profiles.update(tx, user, data)
    return reply(ProfileBody(Profile.of(changed, actor, accounts.base_url)))


@Route("/users/{user_id:str}/completion", http_method="GET")
async def get_completion(tx: InTx, actor: Me, user_id: UUID) -> Reply[Completion]:
    """Get how complete a profile is."""
    user = await profiles.get_own(tx, actor, Action.SEE_COMPLETION, user_id)
    return reply(profiles.completion(user))


@Route("/users/{user_id:str}/avatar", http_method="PUT", request_max_body_size=None,
       operation_class=multipart(PictureForm, instead=UploadedPicture))  # fmt: skip
async def put_avatar(
    request: AnyRequest, tx: InTx, actor: Me, exchange: TheExchange, accounts: TheAccounts,
    avatars: TheAvatars, user_id: UUID,
) -> Reply[ProfileBody]:  # fmt: skip
    """Set a user's avatar."""
    user = await avatars.put(tx, actor, user_id, exchange, request.stream())
    return reply(ProfileBody(Profile.of(user, actor, accounts.base_url)))


@Route("/users/{user_id:str}/avatar", http_method="GET", media_type="image/jpeg")
async def get_avatar(
    tx: InTx, viewer: Viewer, avatars: TheAvatars, user_id: UUID, size: Literal["96", "320", "1000"] = "320"
) -> FileAnswer:
    """Get a user's avatar."""
    return await avatars.find(tx, viewer, user_id, int(size))


@Route("/users/{user_id:str}/avatar", http_method="DELETE", status_code=200)
async def delete_avatar(tx: InTx, actor: Me, avatars: TheAvatars, user_id: UUID) -> Reply[Said]:
    """Remove a user's avatar."""
    await avatars.remove(tx, actor, user_id)
    return said("Avatar removed successfully")


@dataclass
class _Leaving(Operation):
    """The API document's words for a body that may be left out, and is therefore read by the handler."""

    def __post_init__(self) -> None:
        password = Schema(type=OpenAPIType.STRING, description="Your own, when the account is yours.")
        schema = Schema(type=OpenAPIType.OBJECT, properties={"password": password})
        self.request_body = RequestBody({"application/json": OpenAPIMediaType(schema)}, required=False)


@Route("/users/{user_id:str}", http_method="DELETE", status_code=200, operation_class=_Leaving)
async def delete_user(
    request: AnyRequest, tx: InTx, actor: Me, exchange: TheExchange, database: TheDatabase,
    holdings: Holdings, prove_password: PasswordProof, user_id: UUID,
) -> Reply[Said]:  # fmt: skip
    """Delete an account and what it owns."""
    leaving = await read_optional(request, Leaving)
    origin = _context(actor, exchange)
    await deletion.confirm(database, prove_password, actor, user_id, leaving.password, origin)
    await deletion.delete(tx, actor, user_id, holdings)
    return said("Account deleted successfully")


@Route("/users/{user_id:str}/export", http_method="GET", opt={"also": (507,)})
async def export_user(actor: Me, exchange: TheExchange, exports: TheExports, user_id: UUID) -> JsonFileAnswer:
    """Export everything that is held about a user."""
    return await exports.answer(actor, exchange, user_id)


@Route("/admin/users/{user_id:str}/role", http_method="PUT")
async def assign_role(tx: InTx, actor: Me, user_id: UUID, data: RoleChoice) -> Reply[UserBody]:
    """Give a user a role."""
    user = await service.assign_role(tx, actor, user_id, data.role)
    return reply(UserBody(UserWithRole(user.id, user.username, data.role)))


def _context(actor: Me, exchange: TheExchange) -> Context:
    return Context(actor.id, exchange.ip, exchange.user_agent, exchange.request_id)


ROUTES = [
    check_username, verify_email, resend_verification, get_user, get_user_by_username, update_user,
    get_completion, put_avatar, get_avatar, delete_avatar, delete_user, export_user, assign_role,
]  # fmt: skip

"""The roles that there are, and what each may do."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from veza.access.actor import Me
from veza.access.roles import ROLES, Permission
from veza.core.errors import NotFound
from veza.core.http import Reply, Route, reply

# The same on every server, so that no table is needed.
_IDS = {
    "user": UUID("ee0a8240-256c-5c7f-8193-1590fbb44bdc"),
    "creator": UUID("5c999f76-495a-59ea-8e52-6985395ff30c"),
    "moderator": UUID("057db4ce-0fc6-5c24-acec-f380e96750ae"),
    "admin": UUID("f4aa9066-7077-5f36-874e-ecf380ad8de1"),
}


class RoleNotFound(NotFound):
    """There is no such role."""

    code = "ROLE_NOT_FOUND"


class Role(msgspec.Struct, frozen=True):
    """A named set of permissions; ``all`` stands for every one there is."""

    id: UUID
    name: str
    permissions: list[str]


class RoleList(msgspec.Struct, frozen=True):
    """Every role."""

    roles: list[Role]


class RoleBody(msgspec.Struct, frozen=True):
    """One role."""

    role: Role


def _role(name: str) -> Role:
    held = ROLES[name]
    return Role(_IDS[name], name, ["all"] if held == frozenset(Permission) else sorted(held))


_ROLES: Mapping[UUID, Role] = {role.id: role for role in map(_role, ROLES)}


@Route("/roles", http_method="GET", sync_to_thread=False)
def list_roles(actor: Me) -> Reply[RoleList]:
    """List the roles."""
    del actor
    return reply(RoleList(list(_ROLES.values())))


@Route("/roles/{role_id:str}", http_method="GET", sync_to_thread=False)
def get_role(actor: Me, role_id: UUID) -> Reply[RoleBody]:
    """Get a role."""
    del actor
    if role_id not in _ROLES:
        raise RoleNotFound
    return reply(RoleBody(_ROLES[role_id]))


ROUTES = [list_roles, get_role]

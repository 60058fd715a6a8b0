"""The roles that there are, and what each may do."""

from collections.abc import Mapping
from uuid import UUID, uuid5

import msgspec

from veza.access.actor import Me
from veza.access.roles import ROLES, Permission
from veza.core.errors import NotFound
from veza.core.http import Reply, Route, reply

# Ids are made of names, so that they are the same on every server and need no table.
_NAMESPACE = UUID("a8b1dde7-3c7b-479e-b842-3068f4d60514")


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
    return Role(uuid5(_NAMESPACE, name), name, ["all"] if held == frozenset(Permission) else sorted(held))


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

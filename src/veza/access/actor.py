"""Who asks: every decision begins with an actor."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import Dependency

from veza.access.roles import ROLES, Permission


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """A guest, somebody signed in, or the system itself.

    ``hidden`` are the users whom this actor has blocked or who have blocked them: neither is there for the
    other. It is empty for nearly everybody, and for those who moderate.
    """

    id: UUID | None = None
    session_id: UUID | None = None
    username: str = ""
    role: str = ""
    email_verified: bool = False
    is_system: bool = False
    hidden: frozenset[UUID] = frozenset()

    @property
    def signed_in(self) -> bool:
        """Whether this is a person with an account."""
        return self.id is not None

    def holds(self, permission: Permission) -> bool:
        """Whether the actor's role gives this permission."""
        return self.is_system or permission in ROLES.get(self.role, frozenset())


class Member(Actor, frozen=True, kw_only=True):
    """Somebody signed in."""

    id: UUID
    session_id: UUID


# What handlers say they want: whoever asks (`viewer: Viewer`), or somebody signed in (`actor: Me`).
Viewer = Annotated[Actor, Dependency(skip_validation=True)]
Me = Annotated[Member, Dependency(skip_validation=True)]

GUEST = Actor()
SYSTEM = Actor(is_system=True)

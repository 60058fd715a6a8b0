"""Who may do what: one table for the whole product.

Whether somebody may *see* a thing is asked first, by the ``get_visible`` of its room (404 if not); whether
they may *do* something with it is asked here (403 if not).
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Protocol
from uuid import UUID

from veza.access.actor import Actor
from veza.access.roles import Permission
from veza.core.errors import Forbidden


class Owned(Protocol):
    """A thing that belongs to somebody."""

    @property
    def user_id(self) -> UUID:
        """The owner."""


class OnTrack(Protocol):
    """A thing that is about a track."""

    @property
    def track_owner(self) -> UUID | None:
        """Whose track it is."""


class WorkedOn(Owned, Protocol):
    """A thing as somebody sees it on which they may work with its owner."""

    @property
    def is_public(self) -> bool:
        """Whether everybody may see it."""

    @property
    def permission(self) -> str | None:
        """What this very actor was given: read, write or admin; the owner's own word does not count here."""


class InRoom(Protocol):
    """A room as somebody sees it who is in it, or who may look in."""

    @property
    def type(self) -> str:
        """Public, private, direct, or of a track or playlist."""

    @property
    def role(self) -> str | None:
        """What this very actor is in it: owner, moderator, member or reader; None for who is not."""


class Action(Enum):
    """Everything that can be asked for."""

    UPLOAD_TRACK = auto()
    EDIT_TRACK = auto()
    DELETE_TRACK = auto()
    WITHHOLD_TRACK = auto()
    EDIT_COMMENT = auto()
    DELETE_COMMENT = auto()
    SEE_PLAYLIST = auto()
    SEE_CLOSED_PLAYLIST = auto()
    FILL_PLAYLIST = auto()
    EDIT_PLAYLIST = auto()
    SHARE_PLAYLIST = auto()
    MANAGE_COLLABORATORS = auto()
    TRANSFER_PLAYLIST = auto()
    DELETE_PLAYLIST = auto()
    SELL = auto()
    EDIT_PRODUCT = auto()
    REFUND = auto()
    REFUND_ACCEPTED = auto()
    DELIVER = auto()
    ACCEPT = auto()
    MANAGE_PAYOUTS = auto()
    SEE_ORDER = auto()
    EDIT_PROFILE = auto()
    SEE_COMPLETION = auto()
    SEE_QUOTA = auto()
    EXPORT_ACCOUNT = auto()
    DELETE_ACCOUNT = auto()
    SEE_BLOCKS = auto()
    SEE_HIDDEN = auto()
    ASSIGN_ROLE = auto()
    SEE_ANALYTICS = auto()
    SEE_PLATFORM = auto()
    USE_WEBHOOK = auto()
    RESOLVE_REPORT = auto()
    SUSPEND_USER = auto()
    LIST_USERS = auto()
    RUN_PLATFORM = auto()
    SEE_AUDIT = auto()
    SEE_ALL_AUDIT = auto()
    ACKNOWLEDGE_FINDING = auto()
    SPEAK = auto()
    EDIT_MESSAGE = auto()
    DELETE_MESSAGE = auto()
    TAKE_DOWN_MESSAGE = auto()
    MODERATE_ROOM = auto()
    MANAGE_ROOM = auto()
    KEEP_ORDER = auto()
    OPEN_ROOM = auto()


Rule = Callable[[Actor, Any], bool]


def owner(actor: Actor, thing: Owned) -> bool:
    """The thing is the actor's own."""
    return actor.id is not None and actor.id == thing.user_id


def track_owner(actor: Actor, thing: OnTrack) -> bool:
    """The thing is about a track of the actor's."""
    return actor.id is not None and actor.id == thing.track_owner


def everybody(actor: Actor, thing: WorkedOn) -> bool:
    """The thing is public."""
    del actor
    return thing.is_public


# Each includes those before it.
_PERMISSIONS = ("read", "write", "admin")


def collaborator(least: str) -> Rule:
    """The actor was given at least this permission."""
    enough = _PERMISSIONS[_PERMISSIONS.index(least) :]
    return lambda _actor, thing: thing.permission in enough


def holder(permission: Permission) -> Rule:
    """The actor's role gives this permission."""
    return lambda actor, _thing: actor.holds(permission)


# Each may do what those before it may.
_SEATS = ("reader", "member", "moderator", "owner")


def seat(least: str) -> Rule:
    """The actor is at least this in the room."""
    enough = _SEATS[_SEATS.index(least) :]
    return lambda _actor, thing: thing.role in enough


def watch(actor: Actor, thing: InRoom) -> bool:
    """The room is open to others than its members, and the actor's role is to keep order."""
    return thing.type not in ("private", "direct") and actor.holds(Permission.MODERATE_CHAT)


# Any one of an action's rules is enough.
POLICY: Mapping[Action, tuple[Rule, ...]] = {
    Action.UPLOAD_TRACK: (holder(Permission.UPLOAD_TRACKS),),
    Action.EDIT_TRACK: (owner, holder(Permission.MODERATE_TRACKS)),
    Action.DELETE_TRACK: (owner, holder(Permission.MODERATE_TRACKS)),
    Action.WITHHOLD_TRACK: (holder(Permission.MODERATE_TRACKS),),
    Action.EDIT_COMMENT: (owner,),
    Action.DELETE_COMMENT: (owner, track_owner, holder(Permission.MODERATE_COMMENTS)),
    Action.SEE_PLAYLIST: (everybody, owner, collaborator("read"), holder(Permission.MODERATE_PLAYLISTS)),
    Action.SEE_CLOSED_PLAYLIST: (holder(Permission.MODERATE_PLAYLISTS),),
    Action.FILL_PLAYLIST: (owner, collaborator("write"), holder(Permission.MODERATE_PLAYLISTS)),
    Action.EDIT_PLAYLIST: (owner, collaborator("admin"), holder(Permission.MODERATE_PLAYLISTS)),
    Action.SHARE_PLAYLIST: (owner, collaborator("admin")),
    Action.MANAGE_COLLABORATORS: (owner, collaborator("admin")),
    Action.TRANSFER_PLAYLIST: (owner,),
    Action.DELETE_PLAYLIST: (owner, holder(Permission.MODERATE_PLAYLISTS)),
    Action.SELL: (holder(Permission.SELL),),
    Action.EDIT_PRODUCT: (owner,),
    Action.REFUND: (owner, holder(Permission.MANAGE_SALES)),
    Action.REFUND_ACCEPTED: (holder(Permission.MANAGE_SALES),),
    Action.DELIVER: (owner,),
    Action.ACCEPT: (owner,),
    Action.MANAGE_PAYOUTS: (holder(Permission.MANAGE_SALES),),
    Action.SEE_ORDER: (owner, holder(Permission.MANAGE_SALES)),
    Action.EDIT_PROFILE: (owner, holder(Permission.MANAGE_USERS)),
    Action.SEE_COMPLETION: (owner, holder(Permission.MANAGE_USERS)),
    Action.SEE_ANALYTICS: (owner, holder(Permission.READ_ANALYTICS)),
    Action.SEE_PLATFORM: (holder(Permission.READ_ANALYTICS),),
    Action.SEE_QUOTA: (owner, holder(Permission.MANAGE_USERS)),
    Action.EXPORT_ACCOUNT: (owner, holder(Permission.MANAGE_USERS)),
    Action.DELETE_ACCOUNT: (owner, holder(Permission.MANAGE_USERS)),
    Action.SEE_BLOCKS: (owner, holder(Permission.MANAGE_USERS)),
    # Whoever moderates sees all there is, whoever has blocked whom.
    Action.SEE_HIDDEN: (
        holder(Permission.MODERATE_TRACKS),
        holder(Permission.MODERATE_COMMENTS),
        holder(Permission.MANAGE_USERS),
    ),
    Action.ASSIGN_ROLE: (holder(Permission.ASSIGN_ROLES),),
    Action.USE_WEBHOOK: (owner,),
    Action.RESOLVE_REPORT: (holder(Permission.MODERATE_TRACKS),),
    Action.SUSPEND_USER: (holder(Permission.MANAGE_USERS),),
    Action.LIST_USERS: (holder(Permission.MANAGE_USERS),),
    Action.RUN_PLATFORM: (holder(Permission.RUN_PLATFORM),),
    Action.SEE_AUDIT: (owner, holder(Permission.READ_AUDIT)),
    Action.SEE_ALL_AUDIT: (holder(Permission.READ_AUDIT),),
    Action.ACKNOWLEDGE_FINDING: (holder(Permission.READ_AUDIT),),
    Action.SPEAK: (seat("member"),),
    Action.EDIT_MESSAGE: (owner,),
    # One's own; of others, whoever may moderate the room it is in.
    Action.DELETE_MESSAGE: (owner,),
    Action.TAKE_DOWN_MESSAGE: (holder(Permission.MODERATE_CHAT),),
    Action.MODERATE_ROOM: (seat("moderator"), watch),
    Action.MANAGE_ROOM: (seat("owner"), watch),
    Action.KEEP_ORDER: (watch,),
    # Of a track or playlist.
    Action.OPEN_ROOM: (owner,),
}


def may(actor: Actor, action: Action, thing: Any = None) -> bool:
    """Whether ``actor`` may do ``action`` with ``thing``."""
    return actor.is_system or any(rule(actor, thing) for rule in POLICY[action])


def require(actor: Actor, action: Action, thing: Any = None) -> None:
    """Raise :class:`Forbidden` unless ``actor`` may."""
    if not may(actor, action, thing):
        raise Forbidden

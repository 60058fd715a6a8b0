"""Accounts as callers send and see them."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from veza.access.actor import Actor
from veza.access.policy import Action, may
from veza.core.body import checked
from veza.core.text import USERNAME, clean_text, normalise_email, normalise_username
from veza.rooms.accounts.store import User

Email = Annotated[str, checked(normalise_email, maxLength=254, format="email")]
Username = Annotated[str, checked(normalise_username, minLength=3, maxLength=30, pattern=f"^{USERNAME}$")]
Bio = Annotated[str, checked(partial(clean_text, max_chars=2000, multiline=True), maxLength=2000)]
Name = Annotated[str, checked(partial(clean_text, max_chars=100), maxLength=100)]
Gender = Annotated[str, checked(partial(clean_text, max_chars=32), maxLength=32)]
RoleName = Literal["user", "creator", "moderator", "admin"]


class Availability(Struct, frozen=True):
    """Whether somebody could register under this name now."""

    username: str
    available: bool


class Address(Struct, frozen=True):
    """An e-mail address."""

    email: Email


class Profile(Struct, frozen=True):
    """A user as others see them; what is private is null to all but that user and admins."""

    id: UUID
    username: str
    email: str | None
    bio: str | None
    avatar: str | None
    first_name: str | None
    last_name: str | None
    location: str | None
    gender: str | None
    created_at: datetime
    follower_count: int
    following_count: int

    @classmethod
    def of(cls, user: User, viewer: Actor, base_url: str) -> "Profile":
        """What ``viewer`` may see of ``user``."""
        private = may(viewer, Action.EDIT_PROFILE, user)
        return cls(
            id=user.id,
            username=user.username,
            email=user.email if private else None,
            bio=user.bio,
            avatar=avatar_url(user, base_url),
            first_name=user.first_name if private else None,
            last_name=user.last_name if private else None,
            location=user.location,
            gender=user.gender if private else None,
            created_at=user.created_at,
            follower_count=user.follower_count,
            following_count=user.following_count,
        )


def avatar_url(user: User, base_url: str) -> str | None:
    """Where a browser finds the user's avatar; another one has another address."""
    if user.avatar is None:
        return None
    return f"{base_url}/api/v1/users/{user.id}/avatar?v={user.avatar.rpartition('/')[2]}"


class ProfileBody(Struct, frozen=True):
    """One user."""

    profile: Profile


class ProfileChanges(Struct, frozen=True):
    """What may be changed about a user; what is left out stays, null empties."""

    username: Username | UnsetType = UNSET
    bio: Bio | UnsetType | None = UNSET
    first_name: Name | UnsetType | None = UNSET
    last_name: Name | UnsetType | None = UNSET
    location: Name | UnsetType | None = UNSET
    gender: Gender | UnsetType | None = UNSET


class Completion(Struct, frozen=True):
    """How much of a profile is there, in percent, and what is not."""

    completion_percentage: int
    missing_fields: list[str]


class PictureForm(Struct, frozen=True):
    """The form of a picture: nothing goes with the file."""


class UploadedPicture(Struct, frozen=True):
    """A picture that was uploaded before."""

    upload_id: UUID


class Leaving(Struct, frozen=True):
    """Who deletes their own account gives its password once more; admins leave it out."""

    password: str = ""


class RoleChoice(Struct, frozen=True):
    """The role that a user is to have."""

    role: RoleName


class UserWithRole(Struct, frozen=True):
    """Somebody, and their role."""

    id: UUID
    username: str
    role: str


class UserBody(Struct, frozen=True):
    """Somebody, and their role."""

    user: UserWithRole

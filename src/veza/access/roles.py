"""Roles: named sets of permissions."""

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """Something that a role may do beyond what everybody may do with their own things."""

    UPLOAD_TRACKS = "tracks.upload"
    SELL = "products.sell"
    MANAGE_SALES = "sales.manage"
    MODERATE_TRACKS = "tracks.moderate"
    MODERATE_COMMENTS = "comments.moderate"
    MODERATE_PLAYLISTS = "playlists.moderate"
    MODERATE_CHAT = "chat.moderate"
    MANAGE_USERS = "users.manage"
    ASSIGN_ROLES = "roles.assign"
    READ_AUDIT = "audit.read"
    READ_ANALYTICS = "analytics.read"
    RUN_PLATFORM = "platform.run"


_USER = frozenset({Permission.UPLOAD_TRACKS, Permission.SELL})

ROLES: Mapping[str, frozenset[Permission]] = {
    "user": _USER,
    "creator": _USER,
    "moderator": _USER
    | {
        Permission.MODERATE_TRACKS,
        Permission.MODERATE_COMMENTS,
        Permission.MODERATE_PLAYLISTS,
        Permission.MODERATE_CHAT,
    },
    "admin": frozenset(Permission),
}

# Bytes that a role may store, as a multiple of the quota in the settings.
QUOTA_FACTOR: Mapping[str, int] = {"user": 1, "creator": 10, "moderator": 1, "admin": 10}

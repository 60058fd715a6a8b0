"""What there is to be told, and in which words: one table.

Titles and names are filled in when somebody reads, and only those that the reader may see then: so nothing of
what was private, or has become so, is kept in what was told.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec

Type = Literal[
    "track_liked",
    "track_commented",
    "comment_replied",
    "user_followed",
    "playlist_followed",
    "playlist_collaborator_added",
    "track_released",
    "track_ready",
    "track_failed",
    "order_completed",
    "sale_made",
    "message_received",
    "webhook_disabled",
    "security_alert",
]
TYPES: Sequence[Type] = get_args(Type)

Mails = Literal["digest", "at once", "elsewhere"]

# What stands in for a name that the reader does not see.
SOMEBODY = "Somebody"
# So many are named; the others are counted.
NAMED = 1


class Wording(msgspec.Struct, frozen=True):
    """How one type is told: ``named`` with the title of its thing, ``plain`` without.

    ``subject`` is the kind of thing. ``mails`` says when it is mailed to who wants that: in a digest once a
    day, at once, or by the room where it happens, always; what is always mailed is always told as well.
    """

    plain: str
    named: str = ""
    subject: str | None = None
    mails: Mails = "digest"
    email: bool = False


WORDINGS: Mapping[Type, Wording] = {
    "track_liked": Wording("{who} liked a track of yours", "{who} liked “{title}”", "track"),
    "track_commented": Wording(
        "{who} commented on a track of yours", "{who} commented on “{title}”", "track"
    ),
    "comment_replied": Wording(
        "{who} replied to a comment of yours", "{who} replied to your comment on “{title}”", "track"
    ),
    "user_followed": Wording("{who} started following you", subject="user"),
    "playlist_followed": Wording(
        "{who} follows a playlist of yours", "{who} started following “{title}”", "playlist"
    ),
    "playlist_collaborator_added": Wording(
        "{who} invited you to a playlist", "{who} invited you to the playlist “{title}”", "playlist"
    ),
    "track_released": Wording("{who} released a track", "{who} released “{title}”", "track"),
    "track_ready": Wording("A track of yours is ready", "“{title}” is ready to be heard", "track"),
    "track_failed": Wording(
        "A track of yours could not be processed", "“{title}” could not be processed", "track"
    ),
    "order_completed": Wording("Your order is complete", subject="order", mails="elsewhere", email=True),
    "sale_made": Wording("You made a sale", subject="order", mails="at once", email=True),
    "message_received": Wording("{who} sent you a message", subject="room"),
    "webhook_disabled": Wording(
        "A webhook of yours was turned off, since its receiver took nothing",
        subject="webhook",
        mails="elsewhere",
        email=True,
    ),
    "security_alert": Wording(
        "Something happened to your account: see your mail", mails="elsewhere", email=True
    ),
}

# What the security of an account is told of, by the kind of the event.
ALERTS: Mapping[str, str] = {
    "auth.refresh_reused": "A sign-in token of yours was used twice; its session was ended",
    "auth.login_slowed": "Somebody tried many wrong passwords or codes for your account",
    "auth.2fa_enabled": "Two-factor login was turned on",
    "auth.2fa_disabled": "Two-factor login was turned off",
    "auth.2fa_reset": "An operator turned two-factor login off and ended all your sessions",
    "auth.recovery_code_used": "A recovery code was used in the place of a code from your app",
    "auth.password_changed": "Your password was changed",
}


def say(kind: str, names: Sequence[str], count: int, title: str | None, detail: str | None) -> str:
    """The sentence for a type: who did it, of so many, and to what."""
    if detail is not None and detail in ALERTS:
        return ALERTS[detail]
    wording = WORDINGS[kind]  # type: ignore[index]  # what the table holds was written from it
    words = wording.plain if title is None or not wording.named else wording.named
    return words.format(who=_who(names, count), title=title)


def _who(names: Sequence[str], count: int) -> str:
    first = names[0] if names else SOMEBODY
    others = count - NAMED
    if others <= 0:
        return first
    if others == 1:
        return f"{first} and {names[1]}" if len(names) > 1 else f"{first} and one other"
    return f"{first} and {others} others"

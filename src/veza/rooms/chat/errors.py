"""What can go wrong in rooms."""

from veza.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, RateLimited


class RoomNotFound(NotFound):
    """There is no such room, or you may not see it."""

    code = "ROOM_NOT_FOUND"


class MessageNotFound(NotFound):
    """There is no such message, or you may not see it."""

    code = "MESSAGE_NOT_FOUND"


class NoSuchMember(NotFound):
    """This user is not in the room."""

    code = "MEMBER_NOT_FOUND"


class InviteNotFound(NotFound):
    """There is no such invitation, or it is used up or expired."""

    code = "INVITE_NOT_FOUND"


class NotInRoom(Forbidden):
    """Join the room first."""

    code = "NOT_A_MEMBER"


class Muted(Forbidden):
    """You may not write in this room now."""

    code = "MUTED"


class Banned(Forbidden):
    """You were banned from this room."""

    code = "BANNED"


class AlreadyInRoom(Conflict):
    """This user is in the room already."""

    code = "ALREADY_A_MEMBER"


class TooManyRooms(Conflict):
    """You are in as many rooms as one can be."""

    code = "TOO_MANY_ROOMS"


class RoomFull(Conflict):
    """This room has as many members as a room can have."""

    code = "ROOM_FULL"


class TooManyReactions(Conflict):
    """This message has as many kinds of reactions as one can have."""

    code = "TOO_MANY_REACTIONS"


class TooManyPinned(Conflict):
    """This room has as many pinned messages as one can have."""

    code = "TOO_MANY_PINNED"


class TooManyInvites(Conflict):
    """This room has as many invitations as one can have."""

    code = "TOO_MANY_INVITES"


class DirectRoom(Conflict):
    """A direct room has two people, and stays as it is."""

    code = "DIRECT_ROOM"


class OwnersRoom(Conflict):
    """The room of a track or playlist is its owner's, who may close it and not leave it."""

    code = "OWNERS_ROOM"


class OwnerStays(Conflict):
    """A room has an owner: make somebody else its owner first, or leave."""

    code = "OWNER_STAYS"


class Repeated(Conflict):
    """You have said the same several times in a row."""

    code = "REPEATED_MESSAGE"


class SlowMode(RateLimited):
    """This room is in slow mode; wait as long as Retry-After says."""

    code = "SLOW_MODE"


class TooFarBehind(Conflict):
    """You have missed so much that it is better read by REST; then join from its end."""

    code = "TOO_FAR_BEHIND"


class TooManySockets(Conflict):
    """You have as many sockets open as one can have."""

    code = "TOO_MANY_SOCKETS"


class UnknownFrame(InvalidRequest):
    """There is no frame of this type."""

    code = "UNKNOWN_FRAME"

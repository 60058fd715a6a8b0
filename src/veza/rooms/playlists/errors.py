"""What can go wrong with playlists."""

from veza.core.errors import Conflict, NotFound, VezaError


class PlaylistNotFound(NotFound):
    """There is no such playlist, or you may not see it."""

    code = "PLAYLIST_NOT_FOUND"


class PlaylistCoverNotFound(NotFound):
    """This playlist has no cover, and none of its first tracks has one."""

    code = "PLAYLIST_COVER_NOT_FOUND"


class TrackAlreadyInPlaylist(Conflict):
    """This track is in the playlist already."""

    code = "TRACK_ALREADY_IN_PLAYLIST"


class TrackNotInPlaylist(NotFound):
    """This track is not in the playlist."""

    code = "TRACK_NOT_IN_PLAYLIST"


class PlaylistFull(VezaError):
    """A playlist holds 10,000 tracks at most."""

    code, status = "PLAYLIST_FULL", 422


class PlaylistChanged(Conflict):
    """The playlist has changed since you read it."""

    code = "PLAYLIST_CHANGED"


class ReorderMismatch(VezaError):
    """Name each track of the playlist once, and no other."""

    code, status = "REORDER_MISMATCH", 422


class AlreadyCollaborator(Conflict):
    """This user is a collaborator already; change their permission instead."""

    code = "ALREADY_COLLABORATOR"


class OwnPlaylist(VezaError):
    """This playlist is their own already."""

    code, status = "OWN_PLAYLIST", 422


class CollaboratorNotFound(NotFound):
    """This user is no collaborator of the playlist."""

    code = "COLLABORATOR_NOT_FOUND"


class TooManyCollaborators(VezaError):
    """A playlist has 100 collaborators at most."""

    code, status = "TOO_MANY_COLLABORATORS", 422


class ShareLinkNotFound(NotFound):
    """There is no such link, or it is good no longer."""

    code = "SHARE_LINK_NOT_FOUND"


class TooManyShareLinks(Conflict):
    """A playlist has 100 links at most; revoke one first."""

    code = "TOO_MANY_SHARE_LINKS"

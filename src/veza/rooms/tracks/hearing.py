"""Who listens: by a header as everywhere, or by an address that was signed for them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar.params import Dependency, Parameter

from veza.access.actor import Actor, Member
from veza.access.signing import Signer, UrlExpired, expires_at
from veza.core.errors import InvalidToken
from veza.rooms.sessions.authenticator import Authenticator
from veza.rooms.tracks.schemas import SignedUrls

LASTS = timedelta(hours=6)
# The signature in an address.
Sig = Annotated[
    str | None,
    Parameter(
        query="sig", description="What `GET /tracks/{track_id}/urls` or a playlist has signed for you."
    ),
]


class Listener(msgspec.Struct, frozen=True):
    """Whoever asks for sound, and what goes into the addresses that follow from it."""

    actor: Actor
    sign: Callable[[], str]

    @property
    def query(self) -> str:
        """For the end of an address: a signature for members, nothing for guests."""
        signature = self.sign()
        return f"sig={quote(signature)}" if signature else ""


TheListener = Annotated[Listener, Dependency(skip_validation=True)]


class Hearing:
    """Signs addresses for listeners, and finds who they were signed for.

    A signature names a track and a session. It ends with the session, and opens no more than its member may
    see when it is used: whoever may not see a track any more does not hear it, either.
    """

    def __init__(self, signer: Signer, authenticator: Authenticator) -> None:
        self._signer = signer
        self._authenticator = authenticator

    def by_header(self, actor: Actor, track_id: UUID) -> Listener:
        """Somebody whose token, or lack of one, is known already."""
        if not isinstance(actor, Member):
            return Listener(actor, str)
        return Listener(actor, lambda: self._signer.sign(_thing(track_id), actor.session_id, LASTS))

    async def by_signature(self, track_id: UUID, signature: str) -> Listener:
        """Whom this signature was made for, as they are now; it is handed on, not made anew.

        Raises :class:`veza.access.signing.SignatureInvalid`, :class:`UrlExpired`.
        """
        session_id = self._signer.check(_thing(track_id), signature)
        try:
            actor = await self._authenticator.member_of(session_id)
        except InvalidToken:
            raise UrlExpired from None
        return Listener(actor, lambda: signature)

    def urls(self, actor: Member, track_id: UUID, base_url: str) -> SignedUrls:
        """Every address of a track that a player needs."""
        signature = self._signer.sign(_thing(track_id), actor.session_id, LASTS)
        track, sig = f"{base_url}/api/v1/tracks/{track_id}", f"?sig={signature}"
        return SignedUrls(
            hls=f"{track}/hls/master.m3u8{sig}",
            stream=f"{track}/stream{sig}",
            waveform=f"{track}/waveform{sig}",
            cover=f"{track}/cover{sig}",
            expires_at=expires_at(signature),
        )


TheHearing = Annotated[Hearing, Dependency(skip_validation=True)]


def _thing(track_id: UUID) -> str:
    return f"track:{track_id}"

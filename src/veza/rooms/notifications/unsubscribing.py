"""Addresses in mails by which their reader gets no more of them: with one click (RFC 8058), or on a page.

Opening the page changes nothing, for programs that look at mails open every link.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.signing import SignatureInvalid, Signer
from veza.core.db import Tx
from veza.core.http import Bytes, InTx, Route
from veza.rooms.notifications import preferences
from veza.rooms.notifications.wording import TYPES, WORDINGS, Type

PATH = "/notifications/unsubscribe"
LASTS = timedelta(days=365)
# What one address ends: all that is in digests, or one type that is mailed at once.
ENDS: Mapping[str, tuple[Type, ...]] = {
    "digest": preferences.DIGESTED,
    **{name: (name,) for name in TYPES if WORDINGS[name].mails == "at once"},
}
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_PAGE = (
    '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width">\n<title>Veza</title>\n'
    '<link rel="stylesheet" href="/account/pages.css">\n<main>{}</main>\n'
)
_ASK = '<h1>Get no more of these mails?</h1><form method="post"><button>Get no more</button></form>'
_DONE = "<h1>You will get no more of these mails.</h1>"

Sig = Annotated[str, Parameter(query="sig")]


class Unsubscribing:
    """Signs such addresses, and does what they say."""

    def __init__(self, signer: Signer, base_url: str) -> None:
        self._signer = signer
        self._base_url = base_url

    def address(self, user_id: UUID, what: str) -> str:
        """The address that ends these mails to somebody."""
        return f"{self._base_url}{PATH}?of={what}&sig={self._signer.sign(_thing(what), user_id, LASTS)}"

    async def end(self, tx: Tx, what: str, signature: str) -> None:
        """End these mails to whom it was signed for. Raises SignatureInvalid, UrlExpired."""
        user_id = self._signer.check(_thing(what), signature)
        if what not in ENDS:
            raise SignatureInvalid
        await preferences.no_mails(tx, user_id, ENDS[what])


TheUnsubscribing = Annotated[Unsubscribing, Dependency(skip_validation=True)]


def _thing(what: str) -> str:
    return f"unsubscribe:{what}"


def _page(words: str) -> Bytes:
    headers = (("Content-Security-Policy", _POLICY), ("Cache-Control", "no-store"))
    return Bytes(_PAGE.format(words).encode(), 200, headers, "text/html; charset=utf-8")


@Route(PATH, http_method="GET", include_in_schema=False)
async def ask() -> Bytes:
    """Ask whether they are to end; the button sends to this very address."""
    return _page(_ASK)


@Route(PATH, http_method="POST", status_code=200, include_in_schema=False)
async def unsubscribe(tx: InTx, unsubscribing: TheUnsubscribing, of: str, sig: Sig) -> Bytes:
    """End them; whatever the body says, for there is nothing to choose."""
    await unsubscribing.end(tx, of, sig)
    return _page(_DONE)


PAGES = [ask, unsubscribe]

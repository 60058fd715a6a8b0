"""``POST /auth/login`` answered from the edge, one login at a time.

A password is hashed by one thread for all. So of twenty logins at once nineteen wait in any case: here they
wait before they cost the event loop anything, and not all in one burst in which nobody else is answered. Who
has left by their turn is passed over, and who has waited as long as clients do is turned away: else all
others would wait for answers that nobody reads. What is out of the ordinary (a token, a long body or one of
an odd kind) is left to the ordinary route before a byte of it is read; the rules are the same.
"""

from collections.abc import Callable, Sequence

import msgspec

from veza.access.passwords import LONGEST_WAIT, MOST_WAITING
from veza.core.body import read_body
from veza.core.edge import Header, Ready, Receive, Scope
from veza.core.exchange import Exchange
from veza.core.http import reply
from veza.core.incoming import is_short_json, read_whole, require_present
from veza.core.limits import address_key
from veza.core.turns import Turns
from veza.rooms.sessions.login import log_in
from veza.rooms.sessions.means import Means, origin_of
from veza.rooms.sessions.routes import limit_of
from veza.rooms.sessions.schemas import Credentials

Dress = Callable[[str, int, Sequence[Header], bytes], Ready]

ROUTE = "/api/v1/auth/login"
MOST_BYTES = 2_000


class HotLogin:
    """Takes logins, as many from each address as ``means`` says."""

    def __init__(self, means: Means, dress: Dress) -> None:
        self._means = means
        self._limit = limit_of("login", means.per_address)
        self._dressed = dress(ROUTE, 200, ((b"content-type", b"application/json"),), b"")
        self._turns = Turns(MOST_WAITING, seconds=LONGEST_WAIT)

    async def log_in(self, exchange: Exchange, scope: Scope, receive: Receive) -> Ready | None:
        """The answer to a login; None leaves it to the ordinary route."""
        plain = is_short_json(exchange, MOST_BYTES) and b"authorization" not in exchange.headers
        if scope["query_string"] or not plain:
            return None
        exchange.route = ROUTE
        if self._limit is not None:
            await self._means.limiter.admit(self._limit, address_key(exchange.ip), exchange)
        body = await read_whole(receive)
        async with self._turns:
            await require_present(receive)
            form = read_body(body, Credentials)
            login = await log_in(self._means, form, origin_of(exchange))
        return self._dressed.with_body(msgspec.json.encode(reply(login)))

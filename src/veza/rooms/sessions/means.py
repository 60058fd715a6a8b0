"""What sessions are made with, and where a request comes from."""

from typing import Annotated

import msgspec
from litestar.params import Dependency

from veza.access.passwords import PasswordHasher
from veza.access.secrets import Keyring
from veza.access.tokens import Tokens
from veza.core.db import Database
from veza.core.events import Context
from veza.core.exchange import Exchange
from veza.core.limits import Limit, Limiter
from veza.rooms.sessions.attempts import Attempts
from veza.rooms.sessions.authenticator import Authenticator


class Means(msgspec.Struct, frozen=True):
    """The parts of the application that prove who somebody is.

    ``per_address`` bounds logins, registrations and the like from one address, each by itself; ``mail_limit``
    is for reset mails to one address, ``greeting_limit`` for links that confirm one, which the room of
    accounts counts too. All are None where rate limits are off.
    """

    database: Database
    hasher: PasswordHasher
    tokens: Tokens
    keyring: Keyring
    authenticator: Authenticator
    attempts: Attempts
    limiter: Limiter
    per_address: Limit | None
    mail_limit: Limit | None
    greeting_limit: Limit | None


# What handlers say they want: `means: TheMeans`.
TheMeans = Annotated[Means, Dependency(skip_validation=True)]


def origin_of(exchange: Exchange) -> Context:
    """Who sent this request, and from where."""
    who = exchange.actor.id if exchange.actor else None
    return Context(who, exchange.ip, exchange.user_agent, exchange.request_id)

"""The token between the two factors: it says whose password was right, and opens nothing by itself."""

from uuid import UUID

from veza.access.secrets import digest
from veza.access.tokens import CHALLENGE_TTL, TWO_FACTOR, Claims, Tokens
from veza.rooms.sessions.proofs_store import Account


class Challenge(Claims, frozen=True, kw_only=True):
    """Whose password was right, and which: it must still be theirs when the second factor comes."""

    sub: UUID
    remember_me: bool
    pwd: str


def issue(tokens: Tokens, account: Account, *, remember_me: bool) -> str:
    """A token for the second step of a login, good for five minutes."""
    claims = {"sub": account.id, "remember_me": remember_me, "pwd": _print(account)}
    return tokens.issue(TWO_FACTOR, CHALLENGE_TTL, claims)


def read(tokens: Tokens, token: str) -> Challenge:
    """What was issued. Raises InvalidToken."""
    return tokens.read(token, TWO_FACTOR, Challenge)


def stands(found: Challenge, account: Account) -> bool:
    """Whether the password that earned the challenge is still the account's."""
    return found.pwd == _print(account)


def _print(account: Account) -> str:
    # Of the salted hash, not of the password: it tells nobody anything, and changes with each new one.
    return digest(account.password_hash)[:9].hex()

"""What an operator does to accounts from the command line."""

from veza.access.passwords import PasswordHasher, check_password
from veza.core.db import Database
from veza.core.text import normalise_email, normalise_username
from veza.rooms.accounts import service
from veza.rooms.accounts.store import User


async def create_user(
    database: Database, hasher: PasswordHasher, *, username: str, email: str, password: str, admin: bool
) -> User:
    """A new account whose address the operator vouches for.

    Raises :class:`veza.core.text.BadValue` for a name, an address or a password that is not taken, and
    :class:`veza.rooms.accounts.errors.UsernameTaken` and ``EmailTaken``.
    """
    username, email = normalise_username(username), normalise_email(email)
    check_password(password, username, email)
    password_hash = await hasher.hash(password)
    async with database.write() as tx:
        return await service.create_user(
            tx,
            username=username,
            email=email,
            password_hash=password_hash,
            role="admin" if admin else "user",
            email_verified=True,
        )

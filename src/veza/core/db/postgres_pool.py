"""Connections to PostgreSQL: how a session is set, how many there are, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from veza.core.db.base import UniqueViolation, UrlRefused
from veza.core.errors import Conflict, DatabaseBusy, InsufficientStorage, Unavailable

SESSION = {
    "application_name": "veza",
    "timezone": "UTC",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",  # compiling costs more than our statements do
}


def translate(error: Exception) -> Exception:  # noqa: PLR0911 - a table
    """The error as the rest of Veza knows it."""
    match error:
        case asyncpg.UniqueViolationError():
            return UniqueViolation(error.constraint_name or "")
        case asyncpg.IntegrityConstraintViolationError():
            return Conflict()
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError() | asyncpg.LockNotAvailableError():
            return DatabaseBusy(headers={"Retry-After": "1"})
        case asyncpg.DiskFullError():
            return InsufficientStorage()
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.OperatorInterventionError()
            | asyncpg.TooManyConnectionsError()
            | asyncpg.InvalidCachedStatementError()
            | asyncpg.ReadOnlySQLTransactionError()
            | asyncpg.InternalClientError()  # lost in the middle of an operation
            | OSError()
            | TimeoutError()
        ):
            return Unavailable(headers={"Retry-After": "1"})
        case asyncpg.InterfaceError() if any(sign in str(error) for sign in _GONE):
            return Unavailable(headers={"Retry-After": "1"})
    return error


# Said of a connection that is closed or closing, or that was lost and so taken from its user.
_GONE = ("clos", "released back to the pool")
ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@contextmanager
def connecting() -> Iterator[None]:
    """Within this block, what the driver makes no sense of is :class:`UrlRefused`: to try again is no use."""
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise UrlRefused(f"the database's URL: {' '.join(str(error).split())}.") from None
    except ValueError as error:
        if isinstance(error, OSError):  # a certificate that is not believed is both, and may be renewed
            raise
        # Not in the words of a parser, which are parts of what it was given.
        raise UrlRefused(
            "the database's URL names a host or a port that is none; or PGHOST, PGPORT and their like do."
        ) from None


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection whose session we never alter, so that giving it back needs no round trip to reset it."""

    def get_reset_query(self) -> str:
        """Nothing to undo."""
        return ""


async def open_pool(url: str, size: int, connection_class: type[Connection] = Connection) -> asyncpg.Pool:
    """At most ``size`` connections to the server at a URL."""
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        connection_class=connection_class,
        command_timeout=30,
        statement_cache_size=500,
        max_cached_statement_lifetime=0,
        server_settings=SESSION,
    )

"""Every error that a caller of the API can meet.

An error is a class: its ``code`` and ``status`` are stable, its docstring is the message that the caller
reads. Rooms subclass :class:`VezaError` in their own ``errors`` modules; the one renderer is in
:mod:`veza.core.http`.
"""

from collections.abc import Iterator, Mapping, Sequence
from errno import EDQUOT, EFBIG, ENOSPC
from typing import Any, ClassVar, Self

import msgspec

# What the kernel says where there is no room.
NO_ROOM = frozenset({ENOSPC, EDQUOT, EFBIG})


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with one field of a request."""

    field: str
    message: str
    code: str = ""


class VezaError(Exception):
    """The server could not do this."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Detail | Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.details = list(details)
        self.headers = dict(headers or {})
        super().__init__(self.message)


def all_errors(base: type[VezaError] = VezaError) -> Iterator[type[VezaError]]:
    """Every error class there is, once each, parents first."""
    yield base
    for child in base.__subclasses__():
        yield from all_errors(child)


class InternalError(VezaError):
    """Something went wrong on our side; the request id helps to find out what."""


class InvalidRequest(VezaError):
    """The request is malformed: its JSON, its path or what it asks for after the `?`; see the details."""

    code, status = "INVALID_REQUEST", 400

    @classmethod
    def json(cls, message: str) -> Self:
        """A body that is not JSON."""
        return cls(message, details=[Detail("body", message, "INVALID_JSON")])


class Unauthenticated(VezaError):
    """Sign in first: send `Authorization: Bearer <access_token>`."""

    code, status = "UNAUTHENTICATED", 401


class InvalidToken(VezaError):
    """This token is not valid, or no longer."""

    code, status = "INVALID_TOKEN", 401


class Forbidden(VezaError):
    """You may not do this."""

    code, status = "FORBIDDEN", 403


class NotFound(VezaError):
    """There is no such thing, or you may not see it."""

    code, status = "NOT_FOUND", 404


class MethodNotAllowed(VezaError):
    """This path does not know that method; see the Allow header."""

    code, status = "METHOD_NOT_ALLOWED", 405


class Conflict(VezaError):
    """This clashes with the present state."""

    code, status = "CONFLICT", 409


class Gone(VezaError):
    """This is no longer there."""

    code, status = "GONE", 410


class PreconditionFailed(VezaError):
    """This has changed since you read it."""

    code, status = "PRECONDITION_FAILED", 412


class PayloadTooLarge(VezaError):
    """The body is larger than this endpoint takes."""

    code, status = "PAYLOAD_TOO_LARGE", 413


class UnsupportedMediaType(VezaError):
    """This endpoint does not take that Content-Type."""

    code, status = "UNSUPPORTED_MEDIA_TYPE", 415


class RangeNotSatisfiable(VezaError):
    """The file ends before the range begins."""

    code, status = "RANGE_NOT_SATISFIABLE", 416


class ValidationFailed(VezaError):
    """The request is well-formed, but not valid; see the details."""

    code, status = "VALIDATION_ERROR", 422


class RateLimited(VezaError):
    """Too many requests; wait as long as Retry-After says."""

    code, status = "RATE_LIMITED", 429


class Unavailable(VezaError):
    """The service cannot do this right now; try again soon."""

    code, status = "SERVICE_UNAVAILABLE", 503


class DatabaseBusy(Unavailable):
    """The database is busy; try again soon."""

    code = "DB_BUSY"


class InsufficientStorage(VezaError):
    """The server has no room left to store this."""

    code, status = "INSUFFICIENT_STORAGE", 507

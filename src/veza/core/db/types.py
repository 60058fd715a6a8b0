"""Column types that mean the same on both databases, and the one metadata."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from veza.core.ids import uuid_of

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The first and the last moment there are: what a column is read as that holds one beyond, or no number.
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def uuid_from_bytes(raw: bytes) -> UUID:
    """The UUID of 16 bytes."""
    return uuid_of(int.from_bytes(raw))


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware moment."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def from_micros(micros: int) -> datetime:
    """The moment, in UTC, of whole microseconds since 1970."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def _to_bytes(value: UUID | None) -> bytes | None:
    return None if value is None else value.int.to_bytes(16)


def _from_bytes(raw: bytes | None) -> UUID | None:
    return None if raw is None else uuid_of(int.from_bytes(raw))


def _to_micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _from_micros(micros: int | None) -> datetime | None:
    """Raises nothing: one row that somebody wrote past Veza is to hold up no other."""
    try:
        return None if micros is None else from_micros(micros)
    except (ValueError, OverflowError, OSError):
        return FIRST if micros < 0 else LAST  # type: ignore[operator]  # None was no error
    except TypeError:  # SQLite keeps anything in any column
        return FIRST


class Id(sa.types.TypeDecorator[UUID]):
    """A UUID: 16 bytes in SQLite, ``uuid`` in PostgreSQL."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Uuid(as_uuid=True, native_uuid=True))
        return dialect.type_descriptor(sa.LargeBinary(16))

    # Whole processors, here and below, and not the two methods that SQLAlchemy would wrap in them: these run
    # a dozen times for each row, and the wrapping costs as much as what it wraps.

    def bind_processor(self, dialect: Dialect) -> Callable[[UUID | None], Any] | None:
        """What makes of a value what the driver takes."""
        return _to_bytes if dialect.name == "sqlite" else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], UUID | None] | None:  # noqa: ARG002 - the base's signature
        """What makes of the driver's value what Python sees."""
        return _from_bytes if dialect.name == "sqlite" else None


class Time(sa.types.TypeDecorator[datetime]):
    """A moment: microseconds since 1970 in a 64-bit integer, aware UTC in Python; FIRST or LAST for none."""

    impl = sa.BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:  # noqa: ARG002 - the base's signature
        """What makes of a value what the driver takes."""
        return _to_micros

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:  # noqa: ARG002 - the base's signature
        """What makes of the driver's value what Python sees."""
        return _from_micros


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value, as text; give a type to have it checked and built on the way out."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: Any = Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """What the driver takes."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the base's signature
        """What Python sees."""
        return None if value is None else msgspec.json.decode(value, type=self.kind)

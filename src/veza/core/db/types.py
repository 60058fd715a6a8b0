"""Column types that mean the same on both databases, and the one metadata."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

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
_new = object.__new__
_set = object.__setattr__


def uuid_from_bytes(raw: bytes) -> UUID:
    """The UUID of 16 bytes; half the price of ``UUID(bytes=raw)``, which matters on lists."""
    made = _new(UUID)
    _set(made, "int", int.from_bytes(raw))
    _set(made, "is_safe", None)
    return made


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware moment."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def from_micros(micros: int) -> datetime:
    """The moment, in UTC, of whole microseconds since 1970."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


class Id(sa.types.TypeDecorator[UUID]):
    """A UUID: 16 bytes in SQLite, ``uuid`` in PostgreSQL."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Uuid(as_uuid=True, native_uuid=True))
        return dialect.type_descriptor(sa.LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """What the driver takes."""
        return value.bytes if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        """What Python sees."""
        return uuid_from_bytes(value) if value is not None and dialect.name == "sqlite" else value


class Time(sa.types.TypeDecorator[datetime]):
    """A moment: microseconds since 1970 in a 64-bit integer, aware UTC in Python."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base's signature
        """What the driver takes."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base's signature
        """What Python sees."""
        return None if value is None else from_micros(value)


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

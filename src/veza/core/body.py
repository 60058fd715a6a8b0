"""Reading a JSON body strictly: malformed is 400, not valid is 422 with a detail for each field."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin
from uuid import UUID

import msgspec

from veza.core.errors import Detail, InvalidRequest, UnsupportedMediaType, ValidationFailed
from veza.core.text import BadValue

T = TypeVar("T", bound=msgspec.Struct)

_MOST = 2**63
_DIGITS = 20
# So many characters has an id as it is written in paths and queries; what msgspec says of what is none.
_OF_ID, _NO_ID = 36, "Invalid UUID."
_INFINITE = (float("inf"), float("-inf"))
# A body of a megabyte may hold 60,000 unknown names: an answer about each would be five times its size.
_MOST_DETAILS = 100

Check = Callable[[Any], Any]


def checked(check: Check, **limits: Any) -> msgspec.Meta:
    """Metadata for a text or exact number that ``check`` cleans, or refuses with a :class:`BadValue`.

    ``Annotated[str, checked(normalise_username, min_length=3)]``; the limits go into the API document. In a
    list of such texts each is checked.
    """
    return msgspec.Meta(extra={"check": check}, extra_json_schema=limits or None)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _integer(text: str) -> int:
    # Longer ones are out of any range, and take quadratic time to read.
    return int(text) if len(text) <= _DIGITS else _MOST


def _exactly(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return Decimal("Infinity")


_decoder = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_constant, parse_int=_integer)
_exact_decoder = json.JSONDecoder(
    object_pairs_hook=_no_twins, parse_constant=_no_constant, parse_int=_integer, parse_float=_exactly
)


def parse_json(raw: bytes, *, exact: bool = False) -> Any:
    """The value of a JSON text (RFC 8259, and I-JSON's rule that names be unique, RFC 7493).

    With ``exact``, fractions are decimals, just as they are written. Raises :class:`InvalidRequest`.
    """
    try:
        return (_exact_decoder if exact else _decoder).decode(raw.decode("utf-8"))
    except RecursionError:
        raise InvalidRequest.json("The body is nested too deeply.") from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        if isinstance(error, UnicodeError):
            reason = "not UTF-8"
        raise InvalidRequest.json(f"The body is not valid JSON: {reason}.") from None


def require_json(content_type: str) -> None:
    """Raise :class:`UnsupportedMediaType` unless a body of this Content-Type is JSON."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("Send JSON, with `Content-Type: application/json`.")


def read_body(raw: bytes, kind: type[T]) -> T:
    """The body as a ``kind``.

    Raises :class:`InvalidRequest` for what is not JSON and :class:`ValidationFailed` with a detail for each
    field that is missing, unknown, of the wrong type or refused by its check.
    """
    return validate(parse_json(raw, exact=_holds(kind, Decimal)), kind)


def validate(given: Any, kind: type[T], *, strict: bool = True) -> T:
    """``given`` as a ``kind``, or :class:`ValidationFailed` with details of bad fields, a hundred at most.

    Not ``strict``, texts stand for numbers and truths as well, as they come in forms.
    """
    if not isinstance(given, dict):
        raise ValidationFailed("The body must be a JSON object.")
    fields = _fields_of(kind)
    details = [
        Detail(name[:100], "There is no such field here.", "UNKNOWN_FIELD")
        for name in given
        if name not in fields
    ]
    values: dict[str, Any] = {}
    for name, (field, check, ids) in fields.items():
        if name not in given:
            if field.required:
                details.append(Detail(name, "This field is required.", "REQUIRED"))
            continue
        try:
            values[field.name] = _field(given[name], field.type, check, strict=strict)
            if ids:
                _check_ids(given[name], values[field.name])
        except msgspec.ValidationError as error:
            details.append(Detail(name, _plain(error), "INVALID"))
        except BadValue as error:
            details.append(Detail(name, error.message, error.code))
    if details:
        raise ValidationFailed(details=details[:_MOST_DETAILS])
    return kind(**values)


class _Field(NamedTuple):
    info: msgspec.structs.FieldInfo
    check: Check | None
    ids: bool


@cache
def _fields_of(kind: type[msgspec.Struct]) -> Mapping[str, _Field]:
    """What each field is and is checked by; found out once, since it takes longer than a body to read."""
    return {
        field.encode_name: _Field(field, _check_of(field.type), _holds(field.type, UUID))
        for field in msgspec.structs.fields(kind)
    }


@cache
def _holds(kind: Any, wanted: type) -> bool:
    """Whether a value of this type is, or holds at any depth, one of the type that is ``wanted``."""
    if kind is wanted:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any(_holds(field.type, wanted) for field in msgspec.structs.fields(kind))
    return any(_holds(part, wanted) for part in get_args(kind) if isinstance(part, type) or get_args(part))


def _field(value: Any, kind: Any, check: Check | None, *, strict: bool) -> Any:
    _check_storable(value)
    # A text is no number, although msgspec would read decimals from it.
    converted = msgspec.convert(value, kind, strict=strict, builtin_types=(Decimal,))
    if check and isinstance(converted, str | Decimal | int):
        return check(converted)
    if check and isinstance(converted, list):
        return [check(text) for text in converted]
    return converted


def _check_ids(value: Any, read: Any) -> None:
    """Raise :class:`BadValue` for an id without its hyphens: an id has one spelling, as in paths."""
    if isinstance(read, list | tuple):
        for one, item in zip(value, read, strict=True):
            # Here and not in a call of its own: there may be ten thousand.
            if type(item) is not UUID:
                _check_ids(one, item)
            elif len(one) != _OF_ID:
                raise BadValue("INVALID", _NO_ID)
    elif isinstance(read, UUID):
        if len(value) != _OF_ID:
            raise BadValue("INVALID", _NO_ID)
    elif isinstance(read, msgspec.Struct):
        for name, field in _fields_of(type(read)).items():
            if field.ids and name in value:
                _check_ids(value[name], getattr(read, field.info.name))


def _check_storable(value: Any) -> None:
    """Raise :class:`BadValue` for what no database keeps, at any depth."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            _check_text(one)
        elif isinstance(one, dict):
            rest += one.keys()
            rest += one.values()
        elif isinstance(one, list):
            rest += one
        elif (isinstance(one, int) and not -_MOST <= one < _MOST) or one in _INFINITE:
            raise BadValue("INVALID", "This number is too large.")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadValue("INVALID", "Texts cannot hold the character NUL.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadValue("INVALID", "This text holds half a character (a lone surrogate).") from None


def _check_of(kind: Any) -> Check | None:
    if get_origin(kind) is Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.extra and "check" in meta.extra:
                found: Check = meta.extra["check"]
                return found
    for part in get_args(kind):
        if part is not kind and (inner := _check_of(part)):
            return inner
    return None


def _plain(error: msgspec.ValidationError) -> str:
    return str(error).partition(" - at ")[0].replace("`", "") + "."

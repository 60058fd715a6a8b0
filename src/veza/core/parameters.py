"""Ids in paths and queries: each thing has one spelling; in bodies :mod:`veza.core.body` sees to it.

The framework would also take an id without its hyphens, in braces, and as an URN.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_args
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.typing import FieldDefinition

from veza.core.errors import Detail, InvalidRequest


def check_ids(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse ids that are not canonical text. Raises :class:`InvalidRequest`."""
    for name in _ids_of(handler):
        if name in connection.path_params:
            parse_id(connection.path_params[name], name)
        elif connection.scope["query_string"]:
            for text in connection.query_params.getall(name, []):
                parse_id(text, name)


def parse_id(text: str, field: str = "id") -> UUID:
    """A UUID in its canonical form, of either case. Raises :class:`InvalidRequest`."""
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text.lower():
        raise InvalidRequest(details=[Detail(field, "This is not a UUID.", "INVALID")])
    return found


@cache
def _ids_of(handler: BaseRouteHandler) -> Sequence[str]:
    """The names of the parameters that are ids, of the handler and of what it asks for."""
    return sorted({name for name, wanted in _asked(handler) if _is_id(wanted)})


def _asked(handler: BaseRouteHandler) -> Iterator[tuple[str, FieldDefinition]]:
    yield from handler.parsed_fn_signature.parameters.items()
    for name, provider in handler.resolve_dependencies().items():
        if name in handler.parsed_fn_signature.parameters:
            yield from provider.parsed_fn_signature.parameters.items()


def _is_id(wanted: FieldDefinition) -> bool:
    return UUID in (wanted.annotation, *get_args(wanted.annotation))

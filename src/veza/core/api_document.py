"""The API's own description: Litestar's OpenAPI document of the routes, in our words and as version 3.0.3."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License, Server, Tag

from veza.core.errors import Detail, VezaError
from veza.core.http import Bytes
from veza.core.openapi import schema_to_3_0_3, to_3_0_3

_STATUSES = {
    200: "Done",
    201: "Made",
    202: "Begun; ask again",
    206: "The part that was asked for",
    304: "As you have it already",
    400: "Malformed",
    401: "Not signed in, or no longer",
    403: "Not allowed",
    404: "Not there, or not visible to you",
    409: "In conflict with the present state",
    410: "Given up; begin anew",
    412: "Changed since it was read",
    413: "Too large",
    414: "The address is too long",
    415: "Not this Content-Type",
    416: "Not this range",
    422: "Not valid",
    429: "Too many requests",
    431: "The headers are too long",
    500: "Our fault",
    503: "Not right now",
    507: "No room left",
}
_HEADERS = {
    "X-Request-ID": ("string", "The request's name in the logs; a sane one that was sent is kept."),
    "X-RateLimit-Limit": ("integer", "How many requests may be made in a window of time."),
    "X-RateLimit-Remaining": ("integer", "How many of them are left."),
    "X-RateLimit-Reset": ("integer", "When the window ends, in seconds since 1970."),
    "Retry-After": ("integer", "How many seconds to wait before trying again."),
    "WWW-Authenticate": ("string", "Always `Bearer`."),
}
_ON_ALL = ("X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_ON_SOME = {
    "401": ("WWW-Authenticate",),
    "202": ("Retry-After",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
_EVERYWHERE = (400, 404, 414, 429, 431, 500, 503)
_WITH_TOKEN = (401, 403)
_WITH_BODY = (413, 415, 422, 507)
_OF_CHANGES = (409, 422)
# Of files: parts of them, or none where the caller has them, or others; and what cannot be had yet.
_PART, _UNCHANGED = 206, 304
_OF_BYTES = (_PART, _UNCHANGED, 409, 412, 416)


_ABOUT = """Upload, stream and talk about music.

Sign in with `POST /api/v1/auth/login` and send the access token as `Authorization: Bearer …`; in Swagger UI
that is **Authorize**. Every answer says `success`, and then `data`, or `error` with `code`, `message` and
`details`."""


def openapi_config(version: str, areas: Mapping[str, str]) -> OpenAPIConfig:
    """What the document says of the API as a whole, and of its areas: by the first word of an address."""
    return OpenAPIConfig(
        title="Veza API",
        version=version,
        description=_ABOUT,
        tags=[Tag(name, said) for name, said in areas.items()],
        license=License(name="Apache-2.0", url="https://www.apache.org/licenses/LICENSE-2.0"),
        # A server has several names (localhost, 127.0.0.1, the proxy's), and the pages that show the document
        # may call only the one that they were opened under.
        servers=[Server(url="/")],
    )


def api_document(described: Litestar, errors: Iterable[type[VezaError]]) -> dict[str, Any]:
    """The OpenAPI 3.0.3 document of an application's routes; ``errors`` are all there are.

    The application is one made only to be described: the one that serves mounts no pages of Litestar's.
    """
    # Through JSON: what Litestar gives holds tuples and enums.
    generated = msgspec.json.decode(msgspec.json.encode(described.openapi_schema.to_schema()))
    document: dict[str, Any] = to_3_0_3(generated)
    handlers = {
        (route.path_format, method.lower()): handler
        for route in described.routes
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _finish(path, operation, handlers[path, method])
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    named = document["components"]["schemas"]
    ours = {name: schema for name, schema in named.items() if schema.get("title") != Bytes.__name__}
    document["components"]["schemas"] = ours | _error_schemas(errors)
    document["components"]["headers"] = {
        name: {"description": said, "schema": {"type": kind}} for name, (kind, said) in _HEADERS.items()
    }
    document = _with_plain_names(document)
    kinds = {
        handler.parsed_fn_signature.parameters["data"].annotation
        for handler in handlers.values()
        if "data" in handler.parsed_fn_signature.parameters
    }
    document["components"]["schemas"] |= _as_they_are_read(kinds)
    for body in _bodies(document):
        _close(body, document["components"]["schemas"])
    return document


def _finish(path: str, operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    wanted = handler.parsed_fn_signature.parameters.keys()
    operation["tags"] = [path.removeprefix("/api/v1/").partition("/")[0]]
    operation["operationId"] = handler.handler_name
    operation["summary"] = (handler.fn.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    if "actor" in wanted:
        operation["security"] = [{"bearer": []}]
    elif wanted & {"viewer", "listener"}:
        operation["security"] = [{}, {"bearer": []}]
    good = {
        code: {**said, "description": _STATUSES.get(int(code), said["description"])}
        for code, said in operation["responses"].items()
        if code.startswith("2")
    }
    returned = handler.parsed_fn_signature.return_type.annotation
    if returned is Bytes or getattr(returned, "whole", False):  # whatever they are, not this struct
        for answer in good.values():
            answer["content"] = {mime: {"schema": {}} for mime in answer["content"]}
    operation["responses"] = good
    for status in sorted(_statuses(operation, handler)):
        operation["responses"][str(status)] = _response(status, good)
    for status, answer in operation["responses"].items():
        names = (*_ON_ALL, *_ON_SOME.get(status, ()))
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _statuses(operation: Mapping[str, Any], handler: HTTPRouteHandler) -> set[int]:
    """What a handler may answer beside what it returns; ``opt`` names under ``also`` what no rule tells."""
    found = {*_EVERYWHERE, *handler.opt.get("also", ())}
    if "security" in operation:
        found.update(_WITH_TOKEN)
    if "requestBody" in operation:
        found.update(_WITH_BODY)
    if handler.http_methods & {"POST", "PUT", "DELETE"}:
        found.update(_OF_CHANGES)
    returned = handler.parsed_fn_signature.return_type.annotation
    if isinstance(returned, type) and issubclass(returned, Response):
        found.update(() if getattr(returned, "whole", False) else _OF_BYTES)
    if handler.opt.get("public"):
        found.add(_UNCHANGED)
    return found


def _bodies(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        for operation in item.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                yield media["schema"]


def _as_they_are_read(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    """The schemas of bodies by those who read them: others lack what limits a text, or a part of a choice."""
    _, named = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {name: _with_numbers(schema_to_3_0_3(schema)) for name, schema in named.items()}


def _with_numbers(schema: Any) -> Any:
    """Exact numbers are written as such, and not as the texts that they are elsewhere."""
    if isinstance(schema, list):
        return [_with_numbers(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_numbers(value) for key, value in schema.items()}
    if found.get("format") == "decimal":
        return {"type": "number"} | {key: found[key] for key in found.keys() - {"type", "format"}}
    if {"type": "number"} in found.get("anyOf", ()):
        return {"type": "number"} | {key: value for key, value in found.items() if key != "anyOf"}
    return found


def _close(schema: dict[str, Any], named: Mapping[str, dict[str, Any]]) -> None:
    """Say of a body that it has these fields and no others, as :func:`veza.core.body.validate` has it."""
    if "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        schema["additionalProperties"] = False


def _response(status: int, good: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _STATUSES[status]}
    if status == _PART:
        return {**found, "content": dict(good["200"]["content"])}
    if status == _UNCHANGED:
        return found
    schema = {"$ref": "#/components/schemas/ErrorEnvelope"}
    return {**found, "content": {"application/json": {"schema": schema}}}


def _error_schemas(errors: Iterable[type[VezaError]]) -> dict[str, Any]:
    codes = sorted({error.code for error in errors})
    detail = msgspec.json.schema(Detail)["$defs"]["Detail"]
    body = {
        "type": "object",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "string", "enum": codes},
            "message": {"type": "string"},
            "details": {
                "type": "array",
                "items": {"type": "object", "properties": detail["properties"], "additionalProperties": True},
            },
        },
    }
    envelope = {
        "type": "object",
        "required": ["success", "error"],
        "properties": {"success": {"type": "boolean", "enum": [False]}, "error": body},
    }
    return {"ErrorEnvelope": envelope}


def _with_plain_names(document: dict[str, Any]) -> dict[str, Any]:
    """Schemas by short names: ``Reply_TrackBody`` for what Litestar calls by module and brackets."""
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    names: dict[str, str] = {}
    for name, schema in schemas.items():
        plain = re.sub(r"\W+", "_", str(schema.get("title", name))).strip("_")
        names[name] = plain if plain not in names.values() else re.sub(r"\W+", "_", name).strip("_")
    text = msgspec.json.encode({**document, "components": {**document["components"], "schemas": {}}}).decode()
    inner = msgspec.json.encode({names[name]: schema for name, schema in schemas.items()}).decode()

    def point(match: re.Match[str]) -> str:
        return f'"#/components/schemas/{names.get(match[1], match[1])}"'

    reference = re.compile(r'"#/components/schemas/([^"]+)"')
    renamed: dict[str, Any] = msgspec.json.decode(reference.sub(point, text))
    renamed["components"]["schemas"] = msgspec.json.decode(reference.sub(point, inner))
    return renamed

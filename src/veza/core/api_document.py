"""The API's own description: Litestar's OpenAPI document of the routes, in our words and as version 3.0.3."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License, Server, Tag

from veza.core.errors import Detail, VezaError
from veza.core.http import Bytes
from veza.core.openapi import to_3_0_3

_STATUSES = {
    200: "Done",
    201: "Made",
    202: "Begun; ask again",
    400: "Malformed",
    401: "Not signed in, or no longer",
    403: "Not allowed",
    404: "Not there, or not visible to you",
    409: "In conflict with the present state",
    412: "Changed since it was read",
    413: "Too large",
    415: "Not this Content-Type",
    416: "Not this range",
    422: "Not valid",
    429: "Too many requests",
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
_EVERYWHERE = (400, 404, 429, 500, 503)
_WITH_TOKEN = (401, 403)
_WITH_BODY = (409, 413, 415, 422, 507)


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
    return _with_plain_names(document)


def _finish(path: str, operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    wanted = handler.parsed_fn_signature.parameters.keys()
    statuses = list(_EVERYWHERE)
    operation["tags"] = [path.removeprefix("/api/v1/").partition("/")[0]]
    operation["operationId"] = handler.handler_name
    operation["summary"] = (handler.fn.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    if "actor" in wanted:
        operation["security"] = [{"bearer": []}]
        statuses += _WITH_TOKEN
    elif wanted & {"viewer", "listener"}:
        operation["security"] = [{}, {"bearer": []}]
        statuses += _WITH_TOKEN
    if "requestBody" in operation:
        statuses += _WITH_BODY
    good = {
        code: {**said, "description": _STATUSES.get(int(code), said["description"])}
        for code, said in operation["responses"].items()
        if code.startswith("2")
    }
    if handler.parsed_fn_signature.return_type.annotation is Bytes:  # whatever they are, not this struct
        for answer in good.values():
            answer["content"] = {mime: {"schema": {}} for mime in answer["content"]}
    operation["responses"] = good | {str(status): _error_response(status) for status in sorted(statuses)}
    for status, answer in operation["responses"].items():
        names = (*_ON_ALL, *_ON_SOME.get(status, ()))
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error_response(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorEnvelope"}
    return {"description": _STATUSES[status], "content": {"application/json": {"schema": schema}}}


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

"""Routes: Litestar's handlers, with the few things that Veza wants of every one.

- who asks is settled before anything is read, where a handler wants to know;
- a JSON body is read strictly (:mod:`veza.core.body`);
- the answer is encoded, then the transaction committed, and only then is the first byte sent; before that of
  an error the edge undoes it;
- public reads carry an ETag and answer ``If-None-Match``;
- where an ``Idempotency-Key`` was claimed, the answer is kept in the same transaction;
- limits of their own are counted before the body is read.

Handlers name what they want: ``tx``, ``viewer`` (whoever asks), ``actor`` (somebody signed in), ``data``.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.dto import AbstractDTO
from litestar.exceptions import HTTPException, ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Reference, RequestBody
from litestar.openapi.spec import Schema as OpenAPISchema
from litestar.params import Dependency
from litestar.types import ASGIApp
from litestar.typing import FieldDefinition

from veza.core import errors
from veza.core.body import read_body, require_json
from veza.core.db import Tx
from veza.core.edge import render_error
from veza.core.errors import Detail, VezaError
from veza.core.exchange import Exchange
from veza.core.idempotency import KeptAnswer, Replayed

T = TypeVar("T")
BodyT = TypeVar("BodyT", bound=msgspec.Struct)
InTx = Annotated[Tx, Dependency(skip_validation=True)]
TheExchange = Annotated[Exchange, Dependency(skip_validation=True)]
AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]

JSON_BYTES = 1_000_000
_UNCHANGED = 304
# What the framework says of a caller who leaves in the middle of a body.
_LEFT = "client disconnected prematurely"
# All that the framework tells of a parameter that did not come.
_MISSING = re.compile(r"Missing required \w+ parameter '(\w+)'")


class Reply(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The envelope of a good answer."""

    success: Literal[True] = True
    data: T


def reply(data: T) -> Reply[T]:
    """``data`` in its envelope."""
    return Reply(data=data)


class Said(msgspec.Struct, frozen=True):
    """An answer that only says that it was done."""

    message: str


def said(message: str) -> Reply[Said]:
    """Done, and this says so."""
    return reply(Said(message))


class Bytes(msgspec.Struct, frozen=True):
    """An answer that is ready: its bytes, status and headers, and what kind of bytes they are."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    mime: str = "application/json"


class StrictJSON(AbstractDTO[Any]):
    """How Litestar has ``data`` read; the model is the handler's annotation."""

    kinds: ClassVar[dict[str, type[msgspec.Struct]]] = {}

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Remember the model of a handler."""
        del backend_cls
        cls.kinds[handler_id] = field_definition.annotation

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Never used for answers."""
        del field_definition
        return False

    def decode_bytes(self, value: bytes) -> Any:
        """The body, or an error that says all that is wrong with it."""
        connection = self.asgi_connection
        require_json(connection.headers.get("content-type", ""))
        return read_body(value, self.kinds[connection.route_handler.handler_id])

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Any:
        """The model's own schema."""
        del handler_id
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Any:
        """Not needed: the model is used as it is."""
        del model_type
        raise ImproperlyConfiguredException

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Not needed: the model is used as it is."""
        del field_definition
        return False


async def read_optional(request: AnyRequest, kind: type[BodyT]) -> BodyT:
    """The JSON body of a request that may also come without one, and then is as if it were ``{}``.

    Raises what a body is refused for elsewhere: UnsupportedMediaType, InvalidRequest, ValidationFailed.
    """
    raw = await request.body()
    if raw:
        require_json(request.headers.get("content-type", ""))
    return read_body(raw or b"{}", kind)


class Route(HTTPRouteHandler):
    """A handler whose answer is encoded before, and sent after, its transaction is committed."""

    async def authorize_connection(self, connection: AnyConnection) -> None:
        """Ask the guards, as the framework does, but with the handler itself and no copy of it."""
        for guard in self.resolve_guards():
            await guard(connection, self)  # type: ignore[misc]  # as in the framework

    async def to_response(self, app: Litestar, data: Any, request: AnyRequest) -> ASGIApp:
        """Encode, commit, and only then let the answer go."""
        exchange: Exchange = request.scope["veza"]  # type: ignore[typeddict-item]  # ours
        if isinstance(data, Response) or callable(data):
            await _commit(exchange)
            return await super().to_response(app, data, request) if isinstance(data, Response) else data
        answer = data if isinstance(data, Bytes) else Bytes(msgspec.json.encode(data), self.status_code)
        if exchange.claim is not None and exchange.tx is not None:
            await exchange.claim.keep(exchange.tx, answer.status, answer.body)
        await _commit(exchange)
        return _Answer(exchange, answer, public=bool(self.opt.get("public")))


async def _commit(exchange: Exchange) -> None:
    if exchange.tx is not None:
        await exchange.tx.commit()


class SentBytes(Response[bytes]):
    """An answer that sends itself, in :meth:`_answer`: what it sends is never whole in memory."""

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # not the bytes that the base would render
        """The answer itself."""
        return self._answer

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


class _Answer:
    """Sends ready bytes; for reads, with an ETag and 304 where the caller has them already."""

    def __init__(self, exchange: Exchange, answer: Bytes, *, public: bool) -> None:
        self.exchange = exchange
        self.answer = answer
        self.public = public

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        answer, exchange = self.answer, self.exchange
        status, body = answer.status, answer.body
        headers = [(b"content-type", answer.mime.encode())]
        if scope["method"] == "GET" and self.public:
            status, body, extra = cacheable(exchange, body)
            headers += extra
        headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers]
        if status != _UNCHANGED:  # there it would be the length of what is not sent (RFC 9110, 8.6)
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def cacheable(exchange: Exchange, body: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body and headers of a read that a cache may keep, if it asks again each time.

    What a signed-in caller gets is for that caller alone.
    """
    tag = etag_of(body)
    # By a header, or by an address that was signed for them.
    if b"authorization" in exchange.headers or getattr(exchange.actor, "signed_in", False):
        headers = [(b"etag", tag), (b"cache-control", b"private, no-store"), (b"vary", b"Authorization")]
    else:
        headers = [(b"etag", tag), (b"cache-control", b"public, no-cache"), (b"vary", b"Authorization")]
    known = exchange.headers.get(b"if-none-match")
    if known is not None and (
        known == b"*" or tag in [part.strip().removeprefix(b"W/") for part in known.split(b",")]
    ):
        return _UNCHANGED, b"", headers
    return 200, body, headers


def check_unchanged(exchange: Exchange, present: Reply[Any]) -> None:
    """Raise :class:`PreconditionFailed` when If-Match names another state (RFC 9110, 13.1.1)."""
    wanted = exchange.headers.get(b"if-match")
    if wanted is None or wanted.strip() == b"*":
        return
    if etag_of(msgspec.json.encode(present)) not in [part.strip() for part in wanted.split(b",")]:
        raise errors.PreconditionFailed


def etag_of(body: bytes) -> bytes:
    """A strong validator of these very bytes."""
    return b'"' + hashlib.blake2b(body, digest_size=12).hexdigest().encode() + b'"'


def multipart(
    form: type[msgspec.Struct], *, file: str = "file", instead: type[msgspec.Struct] | None = None
) -> type[Operation]:
    """The API document's words for a handler that itself reads a form with a file, or JSON ``instead``."""
    properties: dict[str, Reference | OpenAPISchema] = {
        file: OpenAPISchema(type=OpenAPIType.STRING, format="binary"),  # type: ignore[arg-type]  # 3.0's word for bytes
        **_properties(form),
    }
    content = {
        "multipart/form-data": OpenAPIMediaType(
            OpenAPISchema(type=OpenAPIType.OBJECT, properties=properties, required=[file, *_required(form)])
        )
    }
    if instead is not None:
        content["application/json"] = OpenAPIMediaType(
            OpenAPISchema(
                type=OpenAPIType.OBJECT, properties=_properties(instead), required=_required(instead) or None
            )
        )

    @dataclass
    class FormOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(content, required=True)

    return FormOperation


def _required(form: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(form) if field.required]


def _properties(form: type[msgspec.Struct]) -> dict[str, Reference | OpenAPISchema]:
    schema = msgspec.json.schema_components([form])[1][form.__name__]
    return {name: _schema(part) for name, part in schema.get("properties", {}).items()}


def _schema(part: Mapping[str, Any]) -> OpenAPISchema:
    plain = next((one for one in part.get("anyOf", ()) if one.get("type") != "null"), part)
    if plain["type"] == "array":
        return OpenAPISchema(type=OpenAPIType.STRING, description="Separated by commas.")
    return OpenAPISchema(
        type=OpenAPIType(plain["type"]),
        format=plain.get("format"),
        minimum=plain.get("minimum"),
        maximum=plain.get("maximum"),
        min_length=plain.get("minLength"),
        max_length=plain.get("maxLength"),
        pattern=plain.get("pattern"),
    )


def on_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Litestar's errors and ours, rendered in the one way."""
    del request
    if isinstance(error, Replayed):
        return _again(error.answer)
    status, headers, body = render_error(as_veza_error(error))
    named = {name.decode(): value.decode("latin-1") for name, value in headers}
    return _Refusal(body, status_code=status, headers=named, media_type="application/json")


def _again(kept: KeptAnswer) -> Response[bytes]:
    again = {"Idempotency-Replayed": "true"}
    return Response(kept.body, status_code=kept.status, headers=again, media_type="application/json")


class _Refusal(Response[bytes]):
    """A refusal; or the answer to the same request, if another process has done it meanwhile."""

    def to_asgi_response(self, *given: Any, **named: Any) -> Any:
        """Look for that answer where there may be one."""
        request: AnyRequest = named["request"]
        exchange: Exchange | None = request.scope.get("veza")  # type: ignore[assignment]  # ours
        refuse = super().to_asgi_response(*given, **named)
        if exchange is None or exchange.claim is None or exchange.tx is None:
            return refuse
        claim, tx = exchange.claim, exchange.tx
        if not tx.database.shared:
            return refuse

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await tx.close()  # one connection at a time
            async with tx.database.read() as view:
                kept = await claim.find_other(view)
            found = refuse if kept is None else _again(kept).to_asgi_response(*given, **named)
            await found(scope, receive, send)

        return answer


def as_veza_error(error: Exception) -> VezaError:
    """The error that a caller gets to see; anything unforeseen is raised again, for the edge to log."""
    if isinstance(error, VezaError):
        return error
    if not isinstance(error, HTTPException):
        raise error
    match error.status_code:
        case 404:
            return errors.NotFound()
        case 405:
            return errors.MethodNotAllowed(headers={"Allow": _allowed(error)})
        case 413:
            return errors.PayloadTooLarge()
        case 400:
            return _bad_parameters(error)
        case 500 if error.detail == _LEFT:
            return errors.InvalidRequest("The body did not come to its end.")
        case _:
            raise error


def _allowed(error: HTTPException) -> str:
    """What the route does know: HEAD with each GET; OPTIONS is for browsers' questions alone."""
    methods = {method.strip() for method in (error.headers or {}).get("allow", "").split(",")} - {"OPTIONS"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _bad_parameters(error: HTTPException) -> VezaError:
    extra: Sequence[Mapping[str, Any]] = error.extra if isinstance(error.extra, list) else []
    details = [Detail(str(item.get("key", "")), str(item.get("message", "")), "INVALID") for item in extra]
    if missing := _MISSING.match(error.detail):
        details = [Detail(missing[1], "This parameter is required.", "REQUIRED")]
    if any(detail.field == "data" for detail in details):
        return errors.InvalidRequest.json("The body is empty.")
    return errors.InvalidRequest(details=details)

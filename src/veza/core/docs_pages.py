"""The API's document and the two pages that show it, with every script and style served from here.

Whoever opens the server's bare address is shown one of them.
"""

import gzip
import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

STATIC = Path(__file__).parent / "static"

# What the pages may load: from here alone. Both write styles into the page; Redoc searches in a worker.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# path -> file, media type; the large ones are stored compressed.
FILES = {
    "/swagger/index.html": ("swagger.html", "text/html"),
    "/swagger/swagger.js": ("swagger.js", "text/javascript"),
    "/swagger/swagger-ui.css": ("swagger-ui.css.gz", "text/css"),
    "/swagger/swagger-ui-bundle.js": ("swagger-ui-bundle.js.gz", "text/javascript"),
    "/redoc": ("redoc.html", "text/html"),
    "/redoc/redoc.js": ("redoc.js", "text/javascript"),
    "/redoc/redoc.standalone.js": ("redoc.standalone.js.gz", "text/javascript"),
}


class _File(msgspec.Struct, frozen=True):
    """What is sent for one path."""

    body: bytes
    media_type: str
    compressed: bool = False


def docs_routes(document: Callable[[], bytes]) -> list[HTTPRouteHandler]:
    """Return the handlers of `/`, `/swagger/*` and `/redoc*`; `document` gives the document as JSON."""
    routes = [_route("/swagger/doc.json", lambda: _File(document(), "application/json"))]
    for path, (name, media_type) in FILES.items():
        file = _File((STATIC / name).read_bytes(), media_type, name.endswith(".gz"))
        routes.append(_route(path, partial(_same, file)))
    return [*routes, _begin]


@get("/", include_in_schema=False, sync_to_thread=False)
def _begin() -> Response[bytes]:
    """Where people begin: mails lead here, and there is nothing else to see."""
    return Response(b"", status_code=302, headers={"Location": "redoc"})


# Once for each file: all answers are of the same bytes, however many there are that nobody reads.
_plain = cache(gzip.decompress)


def _same(file: _File) -> _File:
    return file


def _route(path: str, find: Callable[[], _File]) -> HTTPRouteHandler:
    # In a thread: whoever does not accept gzip has a megabyte decompressed.
    @get(path, include_in_schema=False, sync_to_thread=True)
    def send(request: Request[Any, Any, Any]) -> Response[bytes]:
        return _answer(request, find())

    return send


def _answer(request: Request[Any, Any, Any], file: _File) -> Response[bytes]:
    """Send a file, or 304 to whoever has it (RFC 9110, 13.1.2)."""
    body = file.body
    headers = {"Cache-Control": "public, no-cache", "Content-Security-Policy": POLICY}
    packed = file.compressed and _accepts_gzip(request.headers.get("accept-encoding", ""))
    if file.compressed:
        headers["Vary"] = "Accept-Encoding"
    # Compressed and plain are two representations, with a tag each.
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}{"-gz" if packed else ""}"'
    headers["ETag"] = tag
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(b"", status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    elif file.compressed:
        body = _plain(body)
    return Response(body, media_type=file.media_type, headers=headers)


def _accepts_gzip(accepted: str) -> bool:
    """Read Accept-Encoding as far as gzip goes (RFC 9110, 12.5.3)."""
    weights = {}
    for entry in accepted.lower().split(","):
        name, _, weight = entry.partition(";")
        weights[name.strip()] = weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return weights.get("gzip", weights.get("*", False))

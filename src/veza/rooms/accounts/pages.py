"""The pages that mails lead to: they only ask, and what they ask for happens by a POST, on a button.

So a mail scanner that opens every link uses none up.
"""

import hashlib
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

STATIC = Path(__file__).parent / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# path -> file, media type
FILES = {
    "/verify-email": ("verify-email.html", "text/html"),
    "/reset-password": ("reset-password.html", "text/html"),
    "/forgot-password": ("forgot-password.html", "text/html"),
    "/account/pages.js": ("pages.js", "text/javascript"),
    "/account/pages.css": ("pages.css", "text/css"),
}


def _page(path: str, name: str, media_type: str) -> HTTPRouteHandler:
    body = (STATIC / name).read_bytes()
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    # A page's address holds a token: no cache is to keep it.
    caching = "no-store" if media_type == "text/html" else "public, no-cache"
    headers = {"Cache-Control": caching, "Content-Security-Policy": POLICY, "ETag": tag}

    @get(path, include_in_schema=False, sync_to_thread=False)
    def send(request: Request[Any, Any, Any]) -> Response[bytes]:
        if request.headers.get("if-none-match") == tag:
            return Response(b"", status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    return send


PAGES = [_page(path, name, media_type) for path, (name, media_type) in FILES.items()]

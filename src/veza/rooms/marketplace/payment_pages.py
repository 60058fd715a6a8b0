"""The page where people land who come back from a payment provider's, unless the settings name another."""

from typing import Any

from litestar import Request, Response, get

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Thank you &ndash; Veza</title>
<link rel="stylesheet" href="../account/pages.css">
</head>
<body>
<main>
<p class="brand">Veza</p>
<h1>Thank you</h1>
<p>You can close this page. What you have paid for is yours as soon as the payment is confirmed, mostly within
seconds; a receipt comes by mail.</p>
</main>
</body>
</html>
"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}


@get("/payments/returned", include_in_schema=False, sync_to_thread=False)
def returned(request: Request[Any, Any, Any]) -> Response[str]:
    """Say nothing of how it went: that is the provider's to tell, and its notice may still be on the way."""
    del request
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)


PAGES = [returned]

"""Addresses of servers on the web, as operators write them down."""

from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}


def is_origin(url: str) -> bool:
    """Whether this is an origin: scheme, host, perhaps a port, and nothing else (RFC 6454)."""
    parts = _split(url)
    return parts is not None and url == f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def is_page_origin(url: str) -> bool:
    """Whether browsers write the origin of a page so: in lower case, without its default port; no pattern.

    Source: RFC 6454, 6.2.
    """
    parts = _split(url)
    plain = url.isascii() and url == url.lower() and "*" not in url
    return parts is not None and plain and is_origin(url) and parts.port != _PORTS[parts.scheme]


def is_base(url: str) -> bool:
    """Whether this is a server or a folder there, below which other addresses are, with nobody's password."""
    parts = _split(url)
    return parts is not None and not (parts.query or parts.fragment or "@" in parts.netloc)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError when it is none
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None

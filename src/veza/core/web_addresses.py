"""Addresses of servers on the web, as operators write them down."""

from urllib.parse import SplitResult, urlsplit


def is_origin(url: str) -> bool:
    """Whether this is an origin: scheme, host, perhaps a port, and nothing else (RFC 6454)."""
    parts = _split(url)
    return parts is not None and url == f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


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

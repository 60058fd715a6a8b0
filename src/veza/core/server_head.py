"""The head of a request, held to what the parser does not check."""

import re
from urllib.parse import unquote

import httptools

from veza.core.errors import InvalidRequest
from veza.core.server_refusals import Headers, HeadersTooLarge, UriTooLong
from veza.core.server_watch import Limits

# RFC 3986, 3.2.2 and 3.2.3: a name or an IPv4 address, or an IPv6 address in brackets; then a port.
_HOST = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_RULED = frozenset({b"host", b"expect", b"content-length", b"transfer-encoding"})


def check_size(target: bytes, headers: Headers, received: int, limits: Limits) -> None:
    """Raise UriTooLong or HeadersTooLarge; `received` bytes hold the head and perhaps some body after it."""
    if len(target) > limits.max_target_bytes:
        raise UriTooLong
    if len(headers) > limits.max_headers:
        raise HeadersTooLarge
    # The exact sum only where it may matter.
    if received > limits.max_head_bytes and _size(target, headers) > limits.max_head_bytes:
        raise HeadersTooLarge


def _size(target: bytes, headers: Headers) -> int:
    """The bytes of a head, near enough: with the blanks and line ends that it must have."""
    return len(target) + 16 + sum(len(name) + len(value) + 4 for name, value in headers)


def split_target(target: bytes) -> tuple[str, bytes, bytes]:
    """The decoded path, the raw one, and the query of a request target (RFC 9112, 3.2)."""
    if target[:1] == b"/" and b"#" not in target:
        raw_path, _, query = target.partition(b"?")
    else:
        parsed = httptools.parse_url(target)
        raw_path, query = parsed.path or b"/", parsed.query or b""
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, query


def without_upgrade(method: bytes, target: bytes, headers: Headers) -> bytes:
    """The head of a request again, without its offer of a protocol that we do not speak.

    Such an offer is to be ignored (RFC 9110, 7.8): Java's client makes one with every request.
    """
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    lines += [b"%b: %b" % pair for pair in headers if pair[0] not in {b"upgrade", b"http2-settings"}]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def check_head(headers: Headers, version: str, good_hosts: set[bytes]) -> tuple[bool, bool]:
    """Hold the request to what the parser does not check: Host, and the framing of the body.

    The parser itself (llhttp in its strict mode) refuses bare LF, folded lines, a space before a colon,
    control characters, repeated and malformed Content-Length, and Content-Length beside Transfer-Encoding.
    Returns whether the client awaits ``100 Continue``, and whether a body is announced. Raises InvalidRequest
    (RFC 9112, 3.2 and 6.1).
    """
    hosts = 0
    expects = framed = False
    for name, value in headers:
        if name not in _RULED:
            continue
        if name == b"host":
            hosts += 1
            if value not in good_hosts:
                _check_host(value, good_hosts)
        elif name == b"content-length":
            framed = True
        elif name == b"transfer-encoding":
            framed = True
            # Any other coding, even one that ends in `chunked`, is read differently by different servers.
            if value.strip(b" \t").lower() != b"chunked" or version != "1.1":
                raise InvalidRequest
        else:
            expects = expects or value.lower() == b"100-continue"
    if hosts != 1 and (hosts or version != "1.0"):
        raise InvalidRequest
    return expects and version != "1.0", framed


def _check_host(host: bytes, good_hosts: set[bytes]) -> None:
    """Raise InvalidRequest unless this may stand in a Host header; remember it, within reason, if so."""
    if not _HOST.fullmatch(host):
        raise InvalidRequest
    if len(good_hosts) < 256 and len(host) < 256:  # noqa: PLR2004 - a bound, so that nobody can fill memory
        good_hosts.add(host)

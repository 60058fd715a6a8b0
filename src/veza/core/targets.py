"""Addresses of strangers' servers, as they come in: a URL that means one thing to everybody who reads it."""

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated
from urllib.parse import SplitResult, quote, urlsplit

import idna
import msgspec

from veza.core.addresses import Address
from veza.core.body import checked
from veza.core.text import BadValue

MAX_URL = 2_048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FIRST_FREE_PORT = 1_024
# Above those of the system, where others speak what a request could be mistaken for: databases, caches,
# queues, container engines, remote desktops.
_REFUSED_PORTS = frozenset(
    {
        1433, 1521, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5060, 5061, 5432, 5433, 5672,
        5900, 5984, 6000, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 7000, 7001, 9042, 9092,
        9200, 9300, 10250, 10255, 11211, 25672, 26257, 27017, 27018, 27019, 28017, 50000, 61616,
    }
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
# Whatever ends so is read as a number by some: 127.1, 0x7f.1, 2130706433, 0177.0.0.1.
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_MAX_NAME = 253
# What may stand in a path and a query as it is; all else is percent-encoded (RFC 3986, 3.3 and 3.4).
_AS_IT_IS = "/?:@!$&'()*+,;=-._~%[]"


class Target(msgspec.Struct, frozen=True):
    """Where a request goes: ``host`` is a name in ASCII or an address, ``path`` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> Address | None:
        """The address, where the host is one."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """What the header ``Host`` says (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_target(url: str) -> Target:
    """Where a URL leads. Raises BadValue with ``INVALID_URL``: there is one way to write one, no other."""
    if len(url) > MAX_URL:
        raise _bad(f"Must have at most {MAX_URL} characters.")
    # A parser strips some of these, and the next one does not.
    if any(char <= " " or char in '\\"<>^`{|}\x7f' or "\x80" <= char <= "\xa0" for char in url):
        raise _bad('Must not contain spaces, control characters or any of \\ " < > ^ ` { | }.')
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("This is not a URL.") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _bad("Must begin with https:// or http://.")
    if "@" in parts.netloc:
        raise _bad("Must not hold a user or a password.")
    if "#" in url:
        raise _bad("Must not have a fragment (#).")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in _DEFAULT_PORTS.values() and (port < _FIRST_FREE_PORT or port in _REFUSED_PORTS):
        raise _bad(f"Must not name port {port}: use 443, 80, or one of your own above 1023.")
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_AS_IT_IS)
    return Target(parts.scheme, _host(parts), port, path)


def host_of(url: str) -> str:
    """The host that a URL names, for people: as far as it can be told where :func:`read_target` refuses it.

    What is kept was good when it came; a later version may be stricter.
    """
    try:
        return read_target(url).host
    except BadValue:
        with suppress(ValueError):
            return urlsplit(url).hostname or ""
        return ""


def _host(parts: SplitResult) -> str:
    if parts.netloc.startswith("["):
        return _address_6(parts.netloc[1:].partition("]")[0])
    host = (parts.hostname or "").lower()
    if not host.isascii() or "xn--" in host:
        try:
            host = idna.encode(host, uts46=True).decode().lower()
        except (idna.IDNAError, UnicodeError):
            raise _bad("This host has no form that DNS knows.") from None
    host = host.removesuffix(".")
    if _NUMERIC.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _bad("Write an IPv4 address as four numbers, without zeros before them.") from None
    if len(host) > _MAX_NAME or not _NAME.fullmatch(host):
        raise _bad("This is not the name of a host.")
    return host


def _address_6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise _bad("This is not an IPv6 address.") from None
    if address.scope_id is not None:
        raise _bad("Must not name a zone (%).")
    return str(address)


def _bad(said: str) -> BadValue:
    return BadValue("INVALID_URL", said)


def _check(url: str) -> str:
    read_target(url)
    return url


# A URL of a stranger's server in a body, as it was written.
TargetUrl = Annotated[str, checked(_check, minLength=1, maxLength=MAX_URL, format="uri")]

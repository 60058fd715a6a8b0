"""One request and what is known of it while it is answered."""

import re
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

from veza.core.addresses import canonical
from veza.core.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from veza.core.db import Tx
    from veza.core.idempotency import Claim

# A request id names a line in a log, and guards nothing: the process at random, the request by counting.
_PROCESS = new_id().hex[-16:]
_count = count(1)
_SANE_ID = re.compile(rb"[A-Za-z0-9-]{8,64}")

MAX_USER_AGENT = 512
# So many bits say that an IPv6 address is an IPv4 one (RFC 4291, 2.5.5.2).
_MAPPED_BITS = 96

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request at work, for log lines; empty outside of one."""

# An ASGI extension of our own server: a key of `http.response.start` for header lines as they go on the wire.
HEADER_LINES = "veza.header_lines"


class BrokenOff(Exception):
    """An answer that had begun cannot be finished: the connection is to be closed without its rest."""


def _plain(peer: str) -> str:
    if ":" not in peer:
        return peer
    try:
        return canonical(peer)
    except ValueError:
        return peer


def peer_of(scope: Any) -> str:
    """The address at the other end of a connection; that of this machine where it has none."""
    client = scope.get("client")
    return _plain(client[0]) if client else "127.0.0.1"


def is_among(address: str, networks: "Sequence[IPv4Network | IPv6Network]") -> bool:
    """Whether one of the networks has this address; what is no address is in none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


class Exchange:
    """A request id, an address, a clock, and later a status; it lives in ``scope["veza"]``.

    The status is the answer's, from its beginning on; of one that was broken off, that of the error.
    """

    __slots__ = (
        "_ip", "actor", "claim", "headers", "limits", "request_id", "route", "scope", "started", "status",
        "trusted", "tx",
    )  # fmt: skip

    def __init__(self, scope: Any, trusted: "Sequence[IPv4Network | IPv6Network]") -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id")
        if given is not None and _SANE_ID.fullmatch(given):
            self.request_id = given.decode()
        else:
            self.request_id = f"{_PROCESS}-{next(_count):08x}"
        self.started = perf_counter()
        self.status = 0
        self.route = ""
        self.limits: tuple[tuple[bytes, bytes], ...] = ()
        self.actor: Any = None
        self.claim: Claim | None = None
        self.tx: Tx | None = None
        self.trusted = trusted
        self._ip: str | None = None

    @property
    def ip(self) -> str:
        """The caller's address: the socket's, or what trusted proxies say (right-most untrusted hop)."""
        if self._ip is None:
            self._ip = self._find_ip()
        return self._ip

    def _find_ip(self) -> str:
        peer = peer_of(self.scope)
        if not self.trusted or not self._is_trusted(peer):
            return peer
        hops = b",".join(v for k, v in self.scope["headers"] if k == b"x-forwarded-for").decode("latin-1")
        for hop in reversed(hops.split(",")):
            try:
                address = canonical(hop.strip())
            except ValueError:
                return peer
            peer = address
            if not self._is_trusted(address):
                break
        return peer

    def _is_trusted(self, address: str) -> bool:
        return is_among(address, self.trusted)

    @property
    def user_agent(self) -> str:
        """What the caller's program calls itself, cut and without control characters."""
        raw = self.headers.get(b"user-agent", b"")[:MAX_USER_AGENT].decode("latin-1")
        return "".join(c if c.isprintable() else "�" for c in raw)

    def bearer(self) -> str | None:
        """The token of the one Authorization header; None without one, empty when it makes no sense."""
        value = self.headers.get(b"authorization")
        if value is None:
            return None
        lines = self.scope["headers"]
        # Only among more lines than names can there be two of this one.
        if len(lines) > len(self.headers) and sum(name == b"authorization" for name, _ in lines) > 1:
            return ""
        scheme, _, token = value.partition(b" ")
        if scheme.lower() != b"bearer":
            return ""
        return token.decode("latin-1").strip(" ")

    async def end_tx(self) -> None:
        """Undo what was not committed, and give back what the transaction holds; before any byte is sent."""
        tx, self.tx = self.tx, None
        if tx is not None:
            await tx.close()

    def elapsed(self) -> float:
        """Seconds since the request came in."""
        return perf_counter() - self.started


def parse_networks(text: str) -> "list[IPv4Network | IPv6Network]":
    """A comma-separated list of addresses and CIDR ranges; IPv4 within IPv6 is IPv4, as of whoever comes.

    Raises :class:`ValueError`.
    """
    found = (ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    return [_unmapped(network) for network in found]


def _unmapped(network: "IPv4Network | IPv6Network") -> "IPv4Network | IPv6Network":
    inner = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    bits = network.prefixlen - _MAPPED_BITS
    return network if inner is None or bits < 0 else IPv4Network((inner, bits))

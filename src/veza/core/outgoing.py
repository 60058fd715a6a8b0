"""Requests to servers that strangers named: the one place for all of them.

A name is resolved once, every address that it has is checked, and one of those very addresses is dialled:
what the name means a moment later does not matter. TLS and the header ``Host`` go by the name. Nothing of the
environment counts: no proxies, no ``.netrc``; no redirect is followed, no cookie kept, no more than 64 KiB of
an answer read, interim answers and all, and after 15 seconds all is over, whatever the other side does
meanwhile.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from ipaddress import ip_address
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore2
import msgspec

from veza.core.addresses import Address, is_anybodys, is_of_this_machine, is_public
from veza.core.targets import Target
from veza.core.tracing import About, Kind, part

SECONDS = 15.0
DIAL_SECONDS = 5.0
MOST_READ = 64 * 1024
# A body may come in pieces of one byte, and each of them costs as much as a long one.
MOST_PIECES = 1_000
IDLE_SECONDS = 20.0
# Threads that wait for names. Names that took long the last time have threads of their own: a server that
# does not answer for them holds up others like it, and not everybody.
_RESOLVERS, _PATIENT_RESOLVERS = 16, 4
_SLOW_NAME_SECONDS = 2.0
_MOST_SLOW_NAMES = 4_096
_REFUSED = 400
_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "home.arpa", "test", "onion")

Resolve = Callable[[str], Awaitable[Sequence[Address]]]


class Forbidden(Exception):
    """This target is not a server of a stranger: it lies in a network of our own, or is nobody's."""


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status, or the ``error`` in its place; ``seconds`` that it took.

    ``retry_after`` is the header of that name as it came. Nothing else of an answer is kept.
    """

    status: int | None
    error: str | None
    seconds: float
    retry_after: str = ""


class Guard:
    """Tells whether a target may be dialled; ``own_url`` is where this server is reached itself."""

    def __init__(
        self, *, allow_private: bool = False, own_url: str = "", resolve: Resolve | None = None
    ) -> None:
        self._allow_private = allow_private
        own = urlsplit(own_url)
        self._own = (own.hostname or "", own.port or {"http": 80, "https": 443}.get(own.scheme, 0))
        self._threads = ThreadPoolExecutor(_RESOLVERS, "veza-dns")
        self._patient = ThreadPoolExecutor(_PATIENT_RESOLVERS, "veza-dns-slow")
        self._slow_names: dict[str, None] = {}
        self._resolve = resolve or self._ask_system

    def check_name(self, target: Target) -> None:
        """Raise :class:`Forbidden` for what can be told to lie near without asking anybody."""
        address = target.address
        if address is not None:
            self._check([address])
        if self._allow_private:
            return
        if any(target.host == name or target.host.endswith(f".{name}") for name in _LOCAL_NAMES):
            raise Forbidden("this is the name of a machine nearby")
        if (target.host, target.port) == self._own or (address is None and "." not in target.host):
            raise Forbidden("this is the name of a machine nearby")

    async def addresses(self, host: str, port: int) -> Sequence[Address]:
        """Every address of a host, all of them checked. Raises :class:`Forbidden`, and OSError for none."""
        try:
            found: Sequence[Address] = [ip_address(host)]
        except ValueError:
            found = await self._resolve(host)
        if not found:
            raise OSError("this name has no address")
        self._check(found)
        own_host, own_port = self._own
        if not self._allow_private and port == own_port and set(found) & set(await self._of_own(own_host)):
            raise Forbidden("this is the server itself")
        return found

    def _check(self, found: Iterable[Address]) -> None:
        for address in found:
            if not is_anybodys(address):
                raise Forbidden("nobody has this address")
            if not self._allow_private and not (is_public(address) and not is_of_this_machine(address)):
                raise Forbidden("this address lies in a network of ours")

    async def _of_own(self, host: str) -> Sequence[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        try:
            return await self._resolve(host) if host else []
        except OSError:
            return []

    async def _ask_system(self, host: str) -> Sequence[Address]:
        threads = self._patient if host in self._slow_names else self._threads
        began: float | None = None

        def look() -> list[Any]:
            nonlocal began
            began = perf_counter()  # how long it waited for its turn is not its own fault
            return _lookup(host)

        try:
            found = await asyncio.get_running_loop().run_in_executor(threads, look)
        finally:
            if began is not None:
                self._note(host, perf_counter() - began)
        # Dialled in the order that the system would choose (RFC 6724).
        return list(dict.fromkeys(ip_address(sockaddr[0].partition("%")[0]) for *_, sockaddr in found))

    def _note(self, host: str, seconds: float) -> None:
        self._slow_names.pop(host, None)
        if seconds > _SLOW_NAME_SECONDS:
            self._slow_names[host] = None
            if len(self._slow_names) > _MOST_SLOW_NAMES:
                del self._slow_names[next(iter(self._slow_names))]


def _lookup(host: str) -> list[Any]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


class _TooMuch(httpcore2.RemoteProtocolError):
    """More came in answer to one request than is read."""


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection on which a request goes as one piece, once its answer is waited for.

    It gives no more than :data:`MOST_READ` bytes in answer to what was written last.

    It is closed, too, when time runs out in the middle of beginning TLS.
    """

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = MOST_READ
        self._held: list[bytes] = []

    async def read(self, max_bytes: int, *args: Any, **options: Any) -> bytes:
        """Some bytes, after all that is held is sent.

        Raises :class:`_TooMuch`: what is before the body has no other end than that.
        """
        if self._held:
            held, self._held = b"".join(self._held), []
            # Whoever hangs up without listening may have answered before (RFC 9112, 9.5).
            with suppress(httpcore2.WriteError):
                await self._stream.write(held)
        if self._left <= 0:
            raise _TooMuch("this answer has no end")
        found = await self._stream.read(min(max_bytes, self._left), *args, **options)
        self._left -= len(found)
        return found

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        """Hold these bytes until something is read: a head and its body are one packet then, not two."""
        self._left = MOST_READ
        self._held.append(buffer)

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """What is asked of the socket."""
        return self._stream.get_extra_info(info)

    async def start_tls(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """Speak TLS from now on."""
        try:
            return _Stream(await self._stream.start_tls(*args, **options))
        except BaseException:
            await self._stream.aclose()
            raise


class _Backend(httpcore2.AsyncNetworkBackend):
    """Dials what the guard has checked, and nothing else."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._dialler = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base's signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers."""
        del timeout, local_address
        problem: Exception = OSError("this name has no address")
        for address in await self._guard.addresses(host, port):
            try:
                stream = await self._dialler.connect_tcp(
                    str(address), port, timeout=DIAL_SECONDS, socket_options=socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
            else:
                return _Stream(stream)
        raise problem

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise Forbidden("this is no server of a stranger")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Line:
    """Connections to one target, kept between requests and used by so many at a time."""

    def __init__(self, courier: "Courier", most: int) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=courier.tls,
            max_connections=most,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_Backend(courier.guard),
        )
        self._seconds = courier.seconds

    async def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body; whatever becomes of it is an answer, and nothing is raised.

        Of the trace that this is a part of the other side is told nothing, and the trace not which address
        it has there: that may hold a secret.
        """
        about: About = {
            "http.request.method": "POST",
            "server.address": target.host,
            "server.port": target.port,
        }
        with part("POST", Kind.CLIENT, about) as span:
            answer = await self._post(target, body, headers)
            if answer.status is not None:
                span.set("http.response.status_code", answer.status)
            if answer.error or (answer.status or 0) >= _REFUSED:
                span.fail(answer.error or str(answer.status))
            return answer

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        began = perf_counter()
        status, retry_after, error = None, "", None
        try:
            async with asyncio.timeout(self._seconds):
                status, retry_after = await self._exchange(target, body, headers)
        except Forbidden:
            error = "TARGET_FORBIDDEN"
        except (TimeoutError, httpcore2.TimeoutException):
            error = "TIMEOUT"
        except ssl.SSLError:
            error = "TLS_FAILED"
        except httpcore2.ConnectError as problem:
            # The pool raises it once more, "from None": only the context says what was behind it.
            error = "TLS_FAILED" if isinstance(problem.__context__, ssl.SSLError) else "UNREACHABLE"
        except (OSError, httpcore2.NetworkError):
            error = "UNREACHABLE"
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol):
            error = "NOT_HTTP"
        return Answer(status, error, perf_counter() - began, retry_after)

    async def _exchange(self, target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        url = httpcore2.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = [(b"Host", target.authority.encode()), (b"Content-Length", str(len(body)).encode())]
        sent += [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream("POST", url, headers=sent, content=body) as response:
            pieces = 0
            with suppress(_TooMuch):  # the status is known; the connection is closed with it
                async for _ in response.aiter_stream():
                    pieces += 1
                    if pieces > MOST_PIECES:
                        break
            again = (value for name, value in response.headers if name.lower() == b"retry-after")
            return response.status, next(again, b"").decode("latin-1")[:64]

    async def close(self) -> None:
        """Let go of all connections."""
        await self._pool.aclose()


class Courier:
    """Opens lines to strangers' servers, past one guard; ``seconds`` are what a request may take in all."""

    def __init__(self, guard: Guard, *, seconds: float = SECONDS) -> None:
        self.guard = guard
        self.seconds = seconds

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Names are verified, by the roots that the system trusts and those that browsers do."""
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context

    async def prepare(self) -> None:
        """Read the roots before the first line is opened: in a thread, for it takes a tenth of a second."""
        if "tls" not in vars(self):
            await asyncio.to_thread(getattr, self, "tls")

    def line(self, most: int = 1) -> Line:
        """A line for so many requests at a time."""
        return Line(self, most)

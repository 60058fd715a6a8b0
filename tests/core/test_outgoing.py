"""Requests to strangers' servers: what is refused, what is dialled, and when it is over."""

import asyncio
import ssl
import threading
import time
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.ports import free_ports
from tests.receiver import receiving, status
from veza.core import clock, outgoing
from veza.core.addresses import is_public
from veza.core.outgoing import Answer, Courier, Forbidden, Guard
from veza.core.targets import Target, host_of, read_target
from veza.core.text import BadValue

BAD = [
    "", "https://", "http:///x", "//example.com", "example.com", "ftp://example.com/", "file:///etc/passwd",
    "gopher://example.com/", "javascript:alert(1)", "https://ann:secret@example.com/", "https://@example.com",
    "https://example.com/#part", "https://example.com:22/", "https://example.com:25", "http://example.com:6379/",
    "http://example.com:0/", "http://example.com:65536/", "http://example.com:x/", "https://example.com/a b",
    "https://example.com/\r\nX-Evil: 1", "https://exa\tmple.com/", "https://example.com\\@evil.example/",
    "http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://0/", "http://0x7f000001",
    "http://1.2.3/", "http://256.1.1.1/", "http://[::1", "http://[fe80::1%25eth0]/", "http://[::zz]/",
    "https://a..example/", "https://-a.example/", f"https://{'a' * 64}.example/", "https://exa%6dple.com/",
    f"https://example.com/{'a' * 2048}", "https://exam\u200bple.com:99999/", "http://\u2488/",
]  # fmt: skip
NEAR = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "169.254.169.254", "168.63.129.16", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "64:ff9b::7f00:1",
    "64:ff9b:1::808:808", "100::1", "2001::1", "2001:2::1", "2001:db8::1", "2002:a00:1::", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "4000::1",
]  # fmt: skip


def test_a_url_means_one_thing_or_is_refused() -> None:
    """W1, W2, W21: other schemes, users, fragments, ports of other services, odd spellings, line breaks."""
    for url in BAD:
        with pytest.raises(BadValue) as refused:
            pytest.fail(f"{url}: {read_target(url)}")
        assert refused.value.code == "INVALID_URL"
    assert read_target("https://Ex\u00e4mple.com.:8443/a?b=\u00e9&c=%20") == Target(
        "https", "xn--exmple-cua.com", 8443, "/a?b=%C3%A9&c=%20"
    )
    for url, host in (
        ("https://ada:secret@Example.com:22/x#y", "example.com"),
        ("http://[::1", ""),
        ("x", ""),
        ("https://Example.com./", "example.com"),
    ):
        assert host_of(url) == host, "for people, of what was good once"
    assert read_target("http://[2606:4700::1111]").authority == "[2606:4700::1111]"
    # Digits in circles are digits to who looks the name up, so they are to us.
    assert read_target("http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/").host == "127.0.0.1"


def test_only_what_everybody_reaches_is_public() -> None:
    """W2: private, shared, link-local, documentation, translated, tunnelled, multicast."""
    assert [text for text in NEAR if is_public(ip_address(text))] == []
    far = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"]
    assert [text for text in far if not is_public(ip_address(text))] == []
    guard = Guard(own_url="https://music.example.com")
    for host in (
        "localhost",
        "a.localhost",
        "printer.local",
        "db.internal",
        "nas",
        "music.example.com",
        *NEAR,
    ):
        with pytest.raises(Forbidden):
            guard.check_name(Target("https", host, 443, "/"))
    guard.check_name(Target("https", "example.com", 443, "/"))
    Guard(allow_private=True).check_name(Target("http", "127.0.0.1", 80, "/"))


async def post(courier: Courier, target: Target) -> Answer:
    line = courier.line()
    try:
        return await line.post(target, b"{}", {})
    finally:
        await line.close()


async def test_what_lies_near_is_never_dialled() -> None:
    """W2, W3: not by any address of a name, however the name's meaning changes; a listener sees nothing."""
    async with receiving() as receiver:
        told = {
            "one.example": [["127.0.0.1"]],
            "mixed.example": [["1.1.1.1", "127.0.0.1"]],
            "mapped.example": [["::ffff:127.0.0.1"]],
            "translated.example": [["64:ff9b::7f00:1"]],
            "rebinding.example": [["127.0.0.1"], ["1.1.1.1"], ["127.0.0.1"]],
        }

        async def resolve(host: str):
            answers = told[host]
            return [ip_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0])]

        courier = Courier(Guard(resolve=resolve))
        for host in told:
            target = Target("http", host, receiver.port, "/")
            answer = await post(courier, target)
            assert (answer.status, answer.error) == (None, "TARGET_FORBIDDEN"), host
        with pytest.raises(Forbidden):
            await Guard(resolve=lambda host: resolve("one.example")).addresses("music.example.com", 80)
        assert receiver.connections == 0
        # Of the name that is public now, that very address is dialled, not what the name means next.
        guard = Guard(resolve=resolve)
        told["rebinding.example"] = [["1.1.1.1"], ["127.0.0.1"]]
        assert await guard.addresses("rebinding.example", 80) == [ip_address("1.1.1.1")]


async def test_the_server_itself_is_no_stranger() -> None:
    """W2: neither by its public address and port, nor by any name that leads there."""

    async def resolve(host: str):
        return [ip_address("1.1.1.1")]

    guard = Guard(own_url="https://music.example.com", resolve=resolve)
    with pytest.raises(Forbidden, match="itself"):
        await guard.addresses("other.example", 443)
    assert await guard.addresses("other.example", 8443)


async def test_nothing_but_the_one_request_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """W4, W5, W6, W23: no proxy, no redirect, 64 KiB at most; the host is the name that was asked for."""
    async with receiving() as receiver, receiving() as other:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{other.port}")

        async def resolve(host: str):
            return [ip_address("127.0.0.1")]

        line = Courier(Guard(allow_private=True, resolve=resolve)).line(2)
        target = Target("http", "some.example", receiver.port, "/hook?a=b")
        answer = await line.post(target, b'{"a": 1}', {"X-Some": "thing"})
        assert (answer.status, answer.error) == (204, None)
        got = receiver.got[0]
        assert got.line == "POST /hook?a=b HTTP/1.1"
        assert got.headers == {
            "host": f"some.example:{receiver.port}", "content-length": "8", "x-some": "thing",
        }  # fmt: skip
        receiver.answer = status(307, f"Location: {other.url}")
        assert (await line.post(target, b"{}", {})).status == 307
        receiver.answer = status(503, "Retry-After: 7")
        assert (await line.post(target, b"{}", {})).retry_after == "7"
        assert receiver.connections == 1, "kept open"
        receiver.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n" + bytes(1 << 18)
        assert (await line.post(target, b"{}", {})).status == 200
        receiver.answer = b"SSH-2.0-OpenSSH\r\n\r\n"
        assert (await line.post(target, b"{}", {})).error == "NOT_HTTP"
        assert receiver.connections == 2, "the first was closed with the long body"
        assert other.connections == 0
        await line.close()


async def test_everything_ends_in_time() -> None:
    """W7: no answer, a byte at a time, endless interim answers, an endless body, TLS that never begins."""

    async def drip(part: bytes, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if b"/head" in (line := await reader.readline()):
            await drip(b"H", writer)
        elif b"/interim" in line:
            await drip(b"HTTP/1.1 100 Continue\r\n\r\n", writer)
        elif b"/body" in line:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await drip(b"x", writer)
        with suppress(ConnectionError):
            while await reader.read(1000):
                pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    courier = Courier(Guard(allow_private=True), seconds=0.3)
    targets = [Target("http", "127.0.0.1", port, path) for path in ("/never", "/head", "/interim", "/body")]
    targets.append(Target("https", "127.0.0.1", port, "/never"))
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(post(courier, target) for target in targets))
    assert {answer.error for answer in answers} == {"TIMEOUT"}
    server.close()
    for writer in writers:
        writer.transport.abort()
    gone = Target("http", "127.0.0.1", free_ports(1)[0], "/")
    assert (await post(Courier(Guard(allow_private=True)), gone)).error == "UNREACHABLE"


async def test_of_an_answer_without_end_little_is_read() -> None:
    """W6, W7: interim answers, headers or a body in crumbs cost what one answer costs, and no more."""
    endless = {
        "/interim": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "/head": (b"HTTP/1.1 200 OK\r\n", b"X-Some: thing\r\n"),
        "/crumbs": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "/body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begin, again = endless[(await reader.readline()).split()[1].decode()]
        writer.write(begin)
        with suppress(ConnectionError):
            for _ in range(200):  # far more than a socket holds
                writer.write(again * (100_000 // len(again)))
                await writer.drain()
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        courier = Courier(Guard(allow_private=True))
        began = time.process_time()
        answers = [await post(courier, Target("http", "127.0.0.1", port, path)) for path in endless]
        assert time.process_time() - began < 1
        assert [(one.status, one.error) for one in answers] == [
            (None, "NOT_HTTP"),
            (None, "NOT_HTTP"),
            (200, None),
            (200, None),
        ]


async def test_names_that_take_long_hold_up_only_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """W7: whose name server does not answer is waited for beside all others."""
    going = threading.Event()

    def lookup(host: str):
        if host.startswith("dead"):
            going.wait(60)
        return [(0, 0, 0, "", ("8.8.8.8", 0))]

    monkeypatch.setattr(outgoing, "_lookup", lookup)
    guard = Guard()
    dead = [f"dead{number}.example" for number in range(40)]
    going.set()
    monkeypatch.setattr(outgoing, "_SLOW_NAME_SECONDS", 0.0)
    await asyncio.gather(*(guard.addresses(name, 443) for name in dead))
    assert guard._slow_names.keys() == set(dead)
    monkeypatch.setattr(outgoing, "_SLOW_NAME_SECONDS", 60.0)
    going.clear()
    waiting = asyncio.gather(*(guard.addresses(name, 443) for name in dead))
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(30):
            await guard.addresses("good.example", 443)
        assert not waiting.done()
    finally:
        going.set()
    await waiting
    assert not guard._slow_names, "who is quick again is as good as any"


async def test_tls_goes_by_the_name(tmp_path) -> None:
    """W23: the address is pinned, and yet the certificate must be of the name that was asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.public_bytes(Encoding.PEM))
    seen: list[str | None] = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    tls.sni_callback = lambda _socket, server_name, _context: seen.append(server_name)

    async def resolve(host: str):
        return [ip_address("127.0.0.1")]

    async with receiving(tls) as receiver:
        courier = Courier(Guard(allow_private=True, resolve=resolve))
        right = Target("https", "hooks.example", receiver.port, "/")
        assert (await post(courier, right)).error == "TLS_FAILED", "nobody vouches for it"
        courier.tls.load_verify_locations(file)
        assert (await post(courier, right)).status == 204
        wrong = Target("https", "other.example", receiver.port, "/")
        assert (await post(courier, wrong)).error == "TLS_FAILED"
        assert seen == ["hooks.example", "hooks.example", "other.example"]
        assert len(receiver.got) == 1


async def test_a_request_goes_as_one_piece() -> None:
    """Its head and its body are there at once, on a connection that is used again."""
    pieces: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            pieces.append(piece)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        line = Courier(Guard(allow_private=True)).line()
        target = Target("http", "127.0.0.1", server.sockets[0].getsockname()[1], "/")
        for body in (b'{"a": 1}', b'{"a": 2}'):
            assert (await line.post(target, body, {})).status == 204
        await line.close()
    assert [piece.partition(b"\r\n\r\n")[2] for piece in pieces] == [b'{"a": 1}', b'{"a": 2}']

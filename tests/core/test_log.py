import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from veza.core import log as module
from veza.core import log_sink
from veza.core.exchange import BrokenOff, Exchange
from veza.core.log import access_line, configure_logging, dropped_lines
from veza.core.log_sink import Sink
from veza.core.redact import redact, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, library = logging.getLogger(), logging.getLogger("python_multipart")
    kept = root.handlers[:], root.level, library.level, structlog.get_config()
    yield
    if module._output.sink is not None:
        module._output.sink.close()
    module._output.sink = None
    root.handlers[:], level, library.level, config = kept[0], kept[1], kept[2], kept[3]
    root.setLevel(level)
    structlog.configure(**config)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    monkeypatch.setattr(log_sink, "_LAST_SECONDS", 30.0)
    path = tmp_path / "log"
    file = os.open(path, os.O_CREAT | os.O_RDWR)

    def lines(*, raw: bool = False) -> list[Any]:
        assert module._output.sink is not None
        module._output.sink.close()
        found = path.read_text().splitlines()
        return found if raw else [json.loads(line) for line in found]

    lines.file = file
    yield lines
    os.close(file)


@pytest.fixture
def lines(written):
    configure_logging(pretty=False, file=written.file)
    return written


def exchange(**scope: Any) -> Exchange:
    made = Exchange({"headers": [], "client": ("192.0.2.7", 5), "method": "GET", "path": "/x"} | scope, ())
    made.route, made.status = "/api/v1/tracks/{id}", 200
    return made


def test_a_line_is_json(lines):
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info(
            "track.ready", seconds=1.5, track_id="t", big=2**70, size=Path("/x"), no=None
        )
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "track.ready",
        "level": "info",
        "request_id": "r-1",
        "seconds": 1.5,
        "track_id": "t",
        "big": str(2**70),
        "size": "/x",
        "no": None,
    }


def test_levels(written):
    configure_logging("warning", pretty=False, file=written.file)
    structlog.get_logger().info("unheard")
    structlog.get_logger().warning("heard")
    access_line(exchange(), 0.001)
    assert [line["event"] for line in written()] == ["heard"]
    with pytest.raises(ValueError, match="is not a level"):
        configure_logging("loud")


def test_one_line_for_each_request(lines):
    made = exchange(path=f"/playlists/shared/{JWT}", query_string=b"token=secret")
    access_line(made, 0.0123456)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "method": "GET",
        "route": "/api/v1/tracks/{id}",
        "status": 200,
        "ms": 12.346,
        "ip": "192.0.2.7",
        "request_id": made.request_id,
    }


SECRETS: list[tuple[dict[str, Any], str]] = [
    ({"password": "hunter22"}, "hunter22"),
    ({"new_password": "hunter22"}, "hunter22"),
    ({"refresh_token": "abcd"}, "abcd"),
    ({"headers": {"Authorization": "Digest abcd", "Cookie": "sid=abcd"}}, "abcd"),
    ({"a": [{"b": ({"api_key": "abcd"},)}]}, "abcd"),
    ({"apiKey": ["abcd"], "API-Key": {"x": "abcd"}}, "abcd"),
    ({"secret": 123456}, "123456"),
    ({"recovery_codes": ["abcd"]}, "abcd"),
    ({"said": f"the token {JWT} is old"}, "eyJ"),
    ({"said": JWT.encode()}, "eyJ"),
    ({"said": "Authorization: Bearer abcdefgh"}, "abcdefgh"),
    ({"said": "authorization: basic dXNlcjpwYXNz"}, "dXNlc"),
    ({"said": "signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "MfKQ"),
    ({"said": "Invalid API Key provided: sk_live_51MfKQ9r8GKYq"}, "MfKQ"),
    ({"said": "rk_test_51MfKQ9r8GKYq"}, "MfKQ"),
    ({"url": "https://x.example/verify?a=1&token=abcd&b=2"}, "abcd"),
    ({"url": "/download?X-Amz-Signature=abcd"}, "abcd"),
    ({"url": "postgresql://veza:hunter22@db/veza"}, "hunter22"),
    ({"error": ValueError(f"no such token: {JWT}")}, "eyJ"),
    ({JWT: 1}, "eyJ"),
]


@pytest.mark.parametrize(("values", "secret"), SECRETS)
@pytest.mark.parametrize("pretty", [False, True])
def test_secrets_are_not_written(written, values, secret, pretty):
    """D5: by the name of their key at any depth, or by their looks."""
    configure_logging(pretty=pretty, file=written.file)
    structlog.get_logger().error("something", **values)
    logging.getLogger("library").error("said %s", values)
    text = "\n".join(written(raw=True))
    assert "something" in text
    assert text.count("***") >= 2
    assert secret not in text


def test_that_an_answer_was_broken_off_is_said_once(lines):
    """The edge has said so, and why; the server's library would write all of it once more, as a crash."""
    server = logging.getLogger("uvicorn.error")
    server.error("Exception in ASGI application", exc_info=BrokenOff())
    server.error("Exception in ASGI application", exc_info=ValueError("of another kind"))
    server.error("Something else")
    first, second = lines()
    assert "of another kind" in first["exception"]
    assert second["event"] == "Something else"


def test_what_is_no_secret_stays(lines):
    plain = {
        "path": "/api/v1/tracks?q=a:b@c",
        "mail": "anna@example.org",
        "author": "A",
        "https": "https://x/y:z",
    }
    structlog.get_logger().info("something", **plain)
    (line,) = lines()
    assert {key: line[key] for key in plain} == plain


def test_secrets_in_a_traceback_are_not_written(lines):
    """D5, G22: neither the message nor the values of variables."""
    password = "hunter" + "22"

    def fail() -> None:
        raise ValueError(f"bad header: Bearer {password * 2}")

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("request.crashed")
        logging.getLogger("library").exception("crashed")
    found = lines()
    for line in found:
        assert "ValueError: bad header: Bearer ***" in line["exception"]
        assert "in fail" in line["exception"]
        assert password not in str(line)
    assert [line["level"] for line in found] == ["error", "error"]


EVIL = "a\r\nforged\x1b[31m\x9b31m\x7f\u2028\u202eb\0"


@pytest.mark.parametrize("pretty", [False, True])
def test_nobody_forges_a_line_or_commands_a_terminal(written, pretty):
    """G23, D4: CR, LF, escape sequences and what reorders text are made visible."""
    configure_logging(pretty=pretty, file=written.file)
    structlog.get_logger().warning(EVIL, agent=EVIL, **{EVIL: EVIL})
    logging.getLogger("library").warning("said %s", EVIL)
    text = "\n".join(written(raw=True))
    assert len(text.split("\n")) == 2
    values = text.replace("\x1b[0m", "") if pretty else str([json.loads(line) for line in text.split("\n")])
    assert "forged" in values
    for evil in ("\r", "\x9b", "\x7f", "\u2028", "\u202e", "\0", "\x1b[31mb", "forged\x1b"):
        assert evil not in values


def test_a_megabyte_makes_a_short_line_quickly():
    """D4: a user agent of a megabyte, and texts that are hard on the patterns."""
    started = time.thread_time()
    for text in (
        "x" * 1_000_000,
        "://" * 300_000,
        "eyJ" * 300_000,
        "a b://:@" * 100_000,
        "Bearer " * 100_000,
    ):
        assert len(redact_text(text)) < 10_000
    assert time.thread_time() - started < 0.5
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    assert len(str(redact({"deep": deep, "many": list(range(10_000))}))) < 25_000


def test_a_value_that_fails_to_show_itself_fails_nobody(lines):
    """X17: the caller goes on."""

    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

        __str__ = __repr__

    class Worse(dict[str, str]):
        def items(self) -> Any:
            raise RuntimeError

    structlog.get_logger().error("one", value=Bad(), deep={"x": [Bad()]})
    structlog.get_logger().error("two", value=Worse())
    module._Handler().handle(logging.LogRecord("library", logging.ERROR, "f", 1, "%d", ("no number",), None))
    logging.getLogger("library").error("three %s", float("nan"))
    found = [line["event"] for line in lines()]
    assert found == ["one", "log.unreadable", "three nan"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EAGAIN])
def test_a_stream_that_fails_costs_lines_and_nothing_else(lines, monkeypatch, number):
    """X17: a full disk under the log is no outage; what was lost is counted; later lines are written."""
    log = structlog.get_logger()

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        log.error("lost")
        access_line(exchange(), 0.1)
        wait_until(lambda: dropped_lines() == 2)
    log.error("written")
    assert [line["event"] for line in lines()] == ["written"]


def test_a_stream_that_is_stuck_holds_nobody_up():
    """X17: a pipe that nobody reads; memory stays bounded, and the process can end."""
    reading, writing = os.pipe()
    sink = Sink(writing)
    line = b"x" * 99 + b"\n"
    started = time.perf_counter()
    for _ in range(40_000):
        sink.write(line)
    assert time.perf_counter() - started < 30
    assert sink.dropped > 10_000
    assert len(sink._lines) <= 20_000
    os.close(reading)  # lets the writer go, with a broken pipe
    sink.close()
    os.close(writing)


def test_lines_of_many_threads_are_all_written_whole(written):
    configure_logging(pretty=False, file=written.file)
    log = structlog.get_logger()

    def work(name: int) -> None:
        for number in range(200):
            log.info("line", name=name, number=number)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = written()
    assert sorted((line["name"], line["number"]) for line in found) == [
        (a, b) for a in range(5) for b in range(200)
    ]


def test_short_writes_are_completed(lines, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    structlog.get_logger().info("line", value="x" * 100)
    assert lines()[0]["value"] == "x" * 100


def test_a_line_is_written_soon(lines, monkeypatch):
    """After 0.2 seconds, and an error at once."""
    path = Path(f"/proc/self/fd/{lines.file}").readlink()
    assert log_sink._SECONDS == 0.2
    structlog.get_logger().info("ordinary")
    wait_until(lambda: "ordinary" in path.read_text())
    monkeypatch.setattr(log_sink, "_SECONDS", 600.0)
    structlog.get_logger().error("urgent")
    wait_until(lambda: "urgent" in path.read_text())


def test_people_see_lines_of_their_own_kind(written):
    configure_logging(pretty=True, file=written.file)
    access_line(exchange(), 0.001)
    (line,) = written(raw=True)
    assert line.endswith("200 GET /api/v1/tracks/{id} 1.0 ms 192.0.2.7")


def test_before_logging_is_set_up_nothing_is_written():
    module._output.sink = None
    access_line(exchange(), 0.001)
    assert dropped_lines() == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

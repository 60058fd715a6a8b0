"""Log lines: JSON for machines, colours for a terminal; no secret in any, and never a request's failure."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from veza.core import clock
from veza.core.exchange import REQUEST_ID, BrokenOff, Exchange
from veza.core.log_sink import Sink
from veza.core.redact import HIDDEN, redact, redact_keys, redact_text
from veza.core.tracing import here, tracing

__all__ = ["HIDDEN", "access_line", "configure_logging", "dropped_lines"]

_MAX_TRACEBACK = 16_000
_encode = msgspec.json.Encoder().encode


class _Access(msgspec.Struct, gc=False):
    timestamp: Any
    event: str
    method: str
    route: str
    status: int
    ms: float
    ip: str
    request_id: str


class _TracedAccess(_Access, gc=False):
    trace_id: str
    span_id: str


class _Output:
    """The process's one way out."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.pretty = False
        self.access = False


_output = _Output()


def configure_logging(
    level: str = "INFO", *, pretty: bool | None = None, access: bool = True, file: int = 2
) -> None:
    """Send all lines of this process, also those of :mod:`logging`, to a file descriptor.

    ``access`` is whether each request has a line, at level INFO.
    ``pretty`` is for people; by default, when the descriptor is a terminal. Raises ValueError for no level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is not a level; say DEBUG, INFO, WARNING or ERROR")
    if _output.sink is not None:
        _output.sink.close()
    _output.sink = Sink(file)
    _output.pretty = os.isatty(file) if pretty is None else pretty
    _output.access = access and number <= logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_request,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _redact,
            _stamp,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Handler()]
    root.setLevel(max(number, logging.WARNING))
    # It warns of every malformed form with the sender's own bytes; the 400 says it all.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether it tells of more than an answer that was broken off: why, the edge has said."""
    return record.exc_info is None or not isinstance(record.exc_info[1], BrokenOff)


def access_line(exchange: Exchange, seconds: float) -> None:
    """One line for one request. It has the route's template and no path, since paths may hold secrets."""
    sink = _output.sink
    if sink is None or not _output.access:
        return
    line = _Access(
        clock.now(),
        "request",
        exchange.scope["method"],
        exchange.route,
        exchange.status,
        round(seconds * 1000, 3),
        exchange.ip,
        exchange.request_id,
    )
    if tracing.recorder is not None and (at := here()) and at.recorded:
        line = _TracedAccess(**msgspec.structs.asdict(line), trace_id=at.trace, span_id=at.span)
    sink.write(_pretty_access(line) if _output.pretty else _encode(line) + b"\n")


def dropped_lines() -> int:
    """How many lines the stream did not take."""
    return _output.sink.dropped if _output.sink is not None else 0


class _Lines:
    """What structlog writes to: it is handed finished lines, by the name of their level."""

    def __init__(self, *_: Any) -> None:
        """Take no notice of the logger's name."""

    def __getattr__(self, level: str) -> Any:
        return _write_urgent if level in {"error", "critical", "exception"} else _write


def _write(line: bytes) -> None:
    if _output.sink is not None:
        _output.sink.write(line)


def _write_urgent(line: bytes) -> None:
    if _output.sink is not None:
        _output.sink.write(line, urgent=True)


def _stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["timestamp"] = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _name_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    if (at := here()) and at.recorded:
        event["trace_id"], event["span_id"] = at.trace, at.span
    return event


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    traceback = event.pop("exception", None)
    try:
        shown = redact_keys(event)
    except Exception:  # noqa: BLE001 - X17: whatever a value does, the caller goes on
        return {"event": "log.unreadable", "level": "error"}
    if traceback is not None:
        shown["exception"] = redact_text(str(traceback)[-_MAX_TRACEBACK:], _MAX_TRACEBACK, lines=True)
    return shown


def _render(_: WrappedLogger, level: str, event: EventDict) -> bytes:
    if not _output.pretty:
        return _encode(event) + b"\n"
    line = _console(_, level, event)
    return line.encode(errors="backslashreplace") + b"\n"


_console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _pretty_access(line: _Access) -> bytes:
    text = f"{line.timestamp:%H:%M:%S} {line.status} {line.method} {line.route} {line.ms} ms {line.ip}\n"
    return text.encode(errors="backslashreplace")


def _message(record: logging.LogRecord) -> str:
    given = record.args
    if not given:
        return str(record.msg)
    if isinstance(given, Mapping):
        return str(record.msg) % redact_keys(given)
    return str(record.msg) % tuple(
        redact(arg) if isinstance(arg, (dict, list, tuple)) else arg for arg in given
    )


class _Handler(logging.Handler):
    """Takes the lines of libraries that use :mod:`logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a line that cannot be made is lost, and nothing else
            event: EventDict = {
                "event": _message(record),
                "logger": record.name,
                "level": record.levelname.lower(),
            }
            if record.exc_info:
                event["exc_info"] = record.exc_info
                event = structlog.processors.format_exc_info(None, "", event)
            event = _stamp(None, "", _redact(None, "", event))
            write = _write_urgent if record.levelno >= logging.ERROR else _write
            write(_render(None, event["level"], event))

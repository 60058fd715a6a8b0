"""What happened within what, and how long it took: spans of this process, for OpenTelemetry.

This is all that the rest of Veza knows of it. Where nothing records, spans are nothing and cost next to
nothing, and OpenTelemetry is not even loaded (:mod:`veza.core.tracing_otel` is the one file that knows it).
A span begins a trace of its own, or is a part of the one that is open around it, in the same task or in one
that made this task. No span holds a text of a stranger, a path, an address of who asks, a secret, or the text
of an error: traces often leave for other people's machines.
"""

from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar, Token
from enum import Enum
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from veza.core.traceparent import TraceParent

P = ParamSpec("P")
T = TypeVar("T")

Value = str | int | bool
About = Mapping[str, Value]
NO_MORE: About = {}


class Kind(Enum):
    """Which side of what a span is, in OpenTelemetry's words."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    CONSUMER = 4


class Recording(Protocol):
    """One span as a recorder keeps it; ``at`` is None where nothing is to be known of it."""

    at: TraceParent | None
    recorded: bool

    def set(self, name: str, value: Value) -> None:
        """Say something more of it."""

    def rename(self, name: str) -> None:
        """Call it by what is known only now."""

    def end(self, error: str | None) -> None:
        """It is over, and failed where there is an ``error``, one of few words."""


class Recorder(Protocol):
    """What takes spans; nothing that it does may wait or raise."""

    def begin(self, name: str, kind: Kind, parent: TraceParent | None, about: About) -> Recording:
        """Begin one, as a part of the span ``parent`` or of a trace of its own."""

    def close(self) -> None:
        """Hand over what there is, for some seconds at most."""


class Span:
    """A stretch of time; use it with ``with``. What it raises goes on, and is what it failed by."""

    __slots__ = ("_error", "_token", "open", "recording")

    def __init__(self, recording: Recording | None) -> None:
        self.recording = recording
        self._error: str | None = None
        self._token: Token[Span | None] | None = None
        self.open = False

    @property
    def at(self) -> TraceParent | None:
        """Where it is; None while it is not open: a task may outlive the span that it was made in."""
        return self.recording.at if self.open and self.recording is not None else None

    @property
    def recorded(self) -> bool:
        """Whether it is open and somebody will see it."""
        return self.open and self.recording is not None and self.recording.recorded

    def set(self, name: str, value: Value) -> None:
        """Say something more of it."""
        if self.recording is not None:
            self.recording.set(name, value)

    def rename(self, name: str) -> None:
        """Call it by what is known only now."""
        if self.recording is not None:
            self.recording.rename(name)

    def fail(self, error: str) -> None:
        """It failed, though nothing is raised; ``error`` is one of few words."""
        if self.recording is not None:
            self._error = error

    def __enter__(self) -> Self:
        if self.recording is not None:
            self.open = True
            self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.recording is not None and self._token is not None:
            self.open = False
            _current.reset(self._token)
            self.recording.end(self._error if kind is None else kind.__name__)


class _Tracing:
    """What this process records with, if it does."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None


tracing = _Tracing()
_current: ContextVar[Span | None] = ContextVar("span", default=None)
NOTHING = Span(None)
"""Where nobody records."""


def begin(name: str, kind: Kind, about: About = NO_MORE, *, parent: TraceParent | None = None) -> Span:
    """A span that is no part of what is open here: it is one of ``parent``, or begins a trace of its own."""
    recorder = tracing.recorder
    return NOTHING if recorder is None else Span(recorder.begin(name, kind, parent, about))


def part(name: str, kind: Kind = Kind.INTERNAL, about: About = NO_MORE) -> Span:
    """A span within the one that is open here; nothing where none is, or nobody will see it."""
    recorder = tracing.recorder
    outer = None if recorder is None else _current.get()
    if recorder is None or outer is None or not outer.recorded:
        return NOTHING
    return Span(recorder.begin(name, kind, outer.at, about))


def around() -> Span:
    """The span that is open here; one that takes everything for nothing where none is."""
    return _current.get() or NOTHING


def here() -> TraceParent | None:
    """Where we are, for a log line or for whoever takes the work up; None outside of any open span."""
    if tracing.recorder is None:
        return None
    return around().at


def aside(name: str, kind: Kind = Kind.INTERNAL, about: About = NO_MORE) -> Recording | None:
    """The same, for what is around nothing and ends elsewhere: whoever has it must end it."""
    return part(name, kind, about).recording


def traced(
    name: str, kind: Kind = Kind.INTERNAL
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """A coroutine function each of whose calls is a :func:`part`."""

    def dress(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        async def call(*args: P.args, **named: P.kwargs) -> T:
            with part(name, kind):
                return await function(*args, **named)

        @wraps(function)
        def choose(*args: P.args, **named: P.kwargs) -> Coroutine[Any, Any, T]:
            return function(*args, **named) if tracing.recorder is None else call(*args, **named)

        return choose

    return dress

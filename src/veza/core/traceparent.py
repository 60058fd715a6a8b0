"""Where in which trace something happened, as W3C writes it: ``00-<trace>-<span>-<flags>``.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re

import msgspec

# Of a later version the same four fields come first, and what follows them is not ours to read (4.3).
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FIRST_VERSION = "00"
_MOST = 512
_RECORDED, _KNOWN_FLAGS = 1, 3


class TraceParent(msgspec.Struct, frozen=True):
    """A span by its trace and its own id; ``flags``: 1 where it is recorded, 2 where that trace is random."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def recorded(self) -> bool:
        """Whether whoever began the trace keeps it."""
        return bool(self.flags & _RECORDED)

    @property
    def trace(self) -> str:
        """The trace's id as it is written."""
        return f"{self.trace_id:032x}"

    @property
    def span(self) -> str:
        """The span's id as it is written."""
        return f"{self.span_id:016x}"

    def __str__(self) -> str:
        return f"{_FIRST_VERSION}-{self.trace}-{self.span}-{self.flags:02x}"


def read_traceparent(text: str) -> TraceParent | None:
    """What the text says, or None where that is nothing that we understand."""
    found = _FORM.fullmatch(text) if len(text) <= _MOST else None
    if found is None or (found[1] == _FIRST_VERSION and found[5]):
        return None
    return TraceParent(int(found[2], 16), int(found[3], 16), int(found[4], 16) & _KNOWN_FLAGS)

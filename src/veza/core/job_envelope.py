"""What a job is told besides its payload: the span in which it was queued, as one more key of the payload.

So is a delivery, besides the fields of its event. Whoever does not know the key, an older version of this
program too, leaves it out of account.
"""

from typing import Any

import msgspec

from veza.core.traceparent import TraceParent, read_traceparent


class _Envelope(msgspec.Struct, frozen=True):
    # No field of a payload begins with an underscore.
    trace: str = msgspec.field(default="", name="_trace")


def enveloped(payload: bytes, at: TraceParent | None) -> bytes:
    """The payload, a JSON object, with where it was queued, if that is anywhere."""
    if at is None:
        return payload
    fields = payload[1:-1] + b"," if len(payload) > len(b"{}") else b""
    return b'{%b"_trace":"%b"}' % (fields, str(at).encode())


def with_cause(fields: msgspec.Struct, at: TraceParent | None) -> Any:
    """The same for what is written down as a value: the fields, with where they were, if that is anywhere."""
    return fields if at is None else {**msgspec.to_builtins(fields), "_trace": str(at)}


def cause_of(value: Any) -> TraceParent | None:
    """The span in which a value was written down that was read again, if that was in any."""
    found = value.get("_trace") if isinstance(value, dict) else None
    return read_traceparent(found) if isinstance(found, str) else None


def queued_at(payload: str) -> TraceParent | None:
    """The span in which a job with this payload was queued, if that was in any."""
    return read_traceparent(msgspec.json.decode(payload, type=_Envelope).trace)

"""What a job is told besides its payload: the span in which it was queued, as one more key of the payload.

Whoever does not know the key, an older version of this program too, leaves it out of account.
"""

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


def queued_at(payload: str) -> TraceParent | None:
    """The span in which a job with this payload was queued, if that was in any."""
    return read_traceparent(msgspec.json.decode(payload, type=_Envelope).trace)

"""A WebSocket as those see it who send the same to many: bytes that are framed once and written to each.

Our server's extension of ASGI: a scope's ``extensions`` hold the wire of its socket under :data:`WIRE`. What
is received still comes by ASGI, as does the handshake.
"""

from typing import Protocol

WIRE = "veza.wire"

_TEXT = 0x81  # the only frame of a message, of text (RFC 6455, 5.2)
_SHORT, _LONG = 125, 0xFFFF


class Wire(Protocol):
    """One open socket."""

    def push(self, frame: bytes) -> int:
        """Write what :func:`text_frame` made; how many bytes wait for the other side to take them.

        After the end there is nothing to do, and nothing waits. Never waits itself.
        """

    async def drained(self) -> None:
        """Wait until the other side has taken most of what waits, or is gone."""

    def end(self, code: int, reason: str) -> None:
        """Close with this code; whoever does not answer within a few seconds is cut off."""


def text_frame(text: bytes) -> bytes:
    """A message of text (UTF-8) as a server sends it: unmasked, in one frame."""
    length = len(text)
    if length <= _SHORT:
        return bytes((_TEXT, length)) + text
    if length <= _LONG:
        return bytes((_TEXT, 126)) + length.to_bytes(2) + text
    return bytes((_TEXT, 127)) + length.to_bytes(8) + text

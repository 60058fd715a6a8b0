"""How long and how slow a connection may be, where nobody says otherwise: the real limits, tick by tick."""

from types import SimpleNamespace

import pytest
from uvicorn.server import ServerState

from veza.core.server_watch import BODY, HEAD, Limits, Watch, Watched

NOTHING_WAITS = SimpleNamespace(get_write_buffer_size=lambda: 0)
READING = SimpleNamespace(read_paused=False)


class Sending(Watched):
    """A connection that is in one phase, whatever comes."""

    def __init__(self, watch, phase):
        self.watch, self.phase = watch, phase
        self.transport, self.flow = NOTHING_WAITS, READING
        self.since = self.stalled = watch.tick
        self.received, self.sending_file, self.refused = 0, False, []

    def refuse(self, error):
        self.refused.append(error.code)

    def waiting_for_us(self):
        return False


def refused_after(phase, rate):
    """The seconds until a client is refused who sends so many bytes in each; None after two minutes."""
    watch = Watch(Limits(), ServerState())
    sending = Sending(watch, phase)
    for tick in range(1, 121):
        watch.tick = tick
        sending.received += rate
        sending.sweep(tick)
        if sending.refused:
            assert sending.refused == ["REQUEST_TIMEOUT"]
            return tick * watch.limits.sweep_seconds
    return None


@pytest.mark.parametrize(
    ("phase", "rate", "seconds"),
    [(HEAD, 0, 10), (HEAD, 3_000, 10), (BODY, 0, 30), (BODY, 512, 30), (BODY, 1024, None)],
)
def test_the_time_there_is(phase, rate, seconds):
    """G25: ten seconds for a head, however it comes; half a minute for each 30 KiB of a body."""
    after = refused_after(phase, rate)
    if seconds is None:
        assert after is None
    else:
        assert seconds <= after <= seconds + 1, "by the next look at all connections"

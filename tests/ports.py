"""Ports for servers whose address is known before they listen, or is theirs again after they were killed.

They are below those that the kernel gives to connections: one that is just being made, perhaps to the very
server that is down, could have the port when the server wants it.
"""

import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

FIRST = 10_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Not the dice of the tests, which fall alike in all processes.
_dice = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, each another."""
    end = max(int(RANGE.read_text().split()[0]), FIRST + 1000)
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = _dice.randrange(FIRST, end)
            one = held.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found

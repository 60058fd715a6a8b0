"""Ports for servers whose address is known before they listen, or is theirs again after they were killed.

They are below those that the kernel gives to connections: one that is just being made, perhaps to the very
server that is down, could have the port when the server wants it. Nor does another test have them, for as
long as the process lives that asked for them: until a server listens there, whoever dials is refused.
"""

import random
import socket
from pathlib import Path

FIRST = 10_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Not the dice of the tests, which fall alike in all processes.
_dice = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on but who is told of them, each another."""
    end = max(int(RANGE.read_text().split()[0]), FIRST + 1000)
    found: list[int] = []
    while len(found) < count:
        one, port = socket.socket(), _dice.randrange(FIRST, end)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            one.close()
            continue
        # Said only now: two that say it before have one port both. A server, which says it, has it beside us.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.detach()  # and never closed
        found.append(port)
    return found

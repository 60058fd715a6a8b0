"""Telling who started this process that it is ready, as sd_notify(3) has it: systemd, for `Type=notify`."""

import socket

import structlog

log = structlog.get_logger()


def tell_ready(address: str) -> None:
    """Once, from what is ready on. Where nobody waits for it, at no address, nothing is said."""
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            # An @ stands for the byte with which an abstract address begins.
            sending.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        log.warning("supervisor.not_told", error=str(error))

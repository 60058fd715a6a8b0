"""A dict that forgets, so that strangers cannot fill the memory with keys of their choosing."""

from typing import Generic, TypeVar

V = TypeVar("V")

MOST_KEYS = 32_768


class Recent(Generic[V]):
    """Keeps what was put or found within the last ``seconds``, and at least the last ``most`` keys of that.

    Two generations: when the young one is full or its time is up it becomes the old one, and the old one
    goes. So it never holds more than twice ``most`` keys, and nothing is ever searched for what is stale.
    """

    __slots__ = ("_most", "_old", "_seconds", "_turn", "_young")

    def __init__(self, seconds: float, most: int = MOST_KEYS) -> None:
        self._seconds = seconds
        self._most = most
        self._young: dict[str, V] = {}
        self._old: dict[str, V] = {}
        self._turn = float("-inf")

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, key: str, now: float) -> V | None:
        """What was put under ``key``; ``now`` in seconds of the monotonic clock."""
        if now >= self._turn or len(self._young) >= self._most:
            self._old = self._young if now < self._turn + self._seconds else {}
            self._young = {}
            self._turn = now + self._seconds
        found = self._young.get(key)
        if found is None and self._old:
            found = self._old.pop(key, None)
            if found is not None:
                self._young[key] = found
        return found

    def put(self, key: str, value: V) -> None:
        """Keep ``value``, after a :meth:`find` of its key."""
        self._young[key] = value

    def forget(self, key: str) -> None:
        """Keep nothing under ``key``."""
        self._young.pop(key, None)
        self._old.pop(key, None)

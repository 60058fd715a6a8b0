"""What a question means to an index: rungs, each of what matches less well than the one before."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec


class Term(msgspec.Struct, frozen=True):
    """One word asked for: as it is, or also as the beginning of others; or any of the words ``near`` to it.

    Without ``strict`` only the near ones count.
    """

    word: str
    prefix: bool = False
    near: tuple[str, ...] = ()
    strict: bool = True


# All of its terms must match.
Rung = tuple[Term, ...]


class Filters(msgspec.Struct, frozen=True):
    """What else must hold: marks that the entry has; its duration in seconds and its day, from and to.

    And whose it is not: one of the ``hidden`` users'.
    """

    marks: tuple[str, ...] = ()
    shortest: float | None = None
    longest: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    hidden: frozenset[UUID] = frozenset()

    @property
    def dated(self) -> bool:
        """Whether days are asked for."""
        return self.since is not None or self.until is not None

    @property
    def timed(self) -> bool:
        """Whether durations are asked for."""
        return self.shortest is not None or self.longest is not None

    @property
    def ranged(self) -> bool:
        """Whether anything but words and marks is asked for."""
        return self.dated or self.timed


class Match(msgspec.Struct, frozen=True):
    """What matches a rung, but none of the rungs in ``less``, and passes the filters.

    A rung without terms is matched by everything.
    """

    rung: Rung
    filters: Filters
    less: Sequence[Rung] = ()


def exactly(words: Sequence[str]) -> Rung:
    """Every word as it is."""
    return tuple(Term(word) for word in words)


def beginning(words: Sequence[str]) -> Rung:
    """Every word as the beginning of one."""
    return tuple(Term(word, prefix=True) for word in words)

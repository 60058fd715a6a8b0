"""What a question comes to."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

# Of one question so many things are counted, and can be paged through.
MOST = 10_000


class Order(msgspec.Struct, frozen=True):
    """The order of what is found: that of relevance, or ``by`` something else."""

    by: str | None = None
    descending: bool = True


class Answer(msgspec.Struct, frozen=True):
    """What was found: the things of one page, and how many there are, if that is ``exact``."""

    ids: Sequence[UUID] = ()
    total: int = 0
    exact: bool = True

"""What the rooms hold about somebody: for the export of their data, and for the end of their account."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import Dependency

from veza.core.db import Tx

# Anything that can be written as JSON. A list that may be long comes as an asynchronous iterator of its
# pieces (`Tx.pieces`), and one whose parts take time to make as an iterator: see `core/json_file.py`.
Exporter = Callable[[Tx, UUID], Awaitable[Any]]
Eraser = Callable[[Tx, UUID], Awaitable[None]]


class Holding(msgspec.Struct, frozen=True):
    """One room's part: its name in the export, what it gives, and how it lets go.

    ``erase`` runs in the transaction that deletes the account, before the row of the user goes; a room whose
    rows follow that one by themselves (``ON DELETE CASCADE``) needs none.
    """

    name: str
    export: Exporter
    erase: Eraser | None = None


Holdings = Annotated[Sequence[Holding], Dependency(skip_validation=True)]

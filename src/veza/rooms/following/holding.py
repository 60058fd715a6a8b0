"""What this room holds about somebody, for the export of their data."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.following import blocks_store, store
from veza.rooms.following.schemas import Block, Follow


class _Kept(msgspec.Struct, frozen=True):
    follows: Sequence[Follow]
    blocks: Sequence[Block]


async def _export(tx: Tx, user_id: UUID) -> _Kept:
    return _Kept(await store.list_of(tx, user_id), await blocks_store.list_of(tx, user_id))


# Nothing to erase: what is left of an account goes after it, in pieces.
HOLDING = Holding("following", _export)

"""All SQL about models."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.recommendations.tables import recommendation_models as models

M = models.c


class Made(msgspec.Struct, frozen=True):
    """A model that was made; ``size`` in bytes, ``digest`` the SHA-256 of its file."""

    id: UUID
    size: int
    digest: str
    learned_at: datetime

    @property
    def key(self) -> str:
        """Where its file lies in the storage."""
        return f"{FOLDER}/{self.id}"


# Of the storage.
FOLDER = "recommendations"

_ALL = Statement(sa.select(M.id, M.size, M.digest, M.learned_at).order_by(M.id.desc()), Made)
_NEWEST = Statement(sa.select(M.id, M.size, M.digest, M.learned_at).order_by(M.id.desc()).limit(1), Made)
_ADD: Statement[None] = Statement(sa.insert(models))
_REMOVE: Statement[None] = Statement(sa.delete(models).where(M.id == sa.bindparam("model")))


async def newest(tx: Tx) -> Made | None:
    """The model that holds."""
    return await tx.first(_NEWEST)


async def list_all(tx: Tx) -> list[Made]:
    """All models, the newest first."""
    return await tx.all(_ALL)


async def add(tx: Tx, made: Made) -> None:
    """From now on this model holds."""
    await tx.run(_ADD, **msgspec.structs.asdict(made))


async def remove(tx: Tx, model_id: UUID) -> None:
    """Forget a model."""
    await tx.run(_REMOVE, model=model_id)

"""The model that this process has at hand: the newest there is, fetched once, checked, and kept open."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from uuid import UUID

import structlog
from litestar.params import Dependency

from veza.core import clock
from veza.core.db import Database
from veza.core.errors import Unavailable
from veza.core.ids import new_id
from veza.core.storage import NoSuchFile, Storage
from veza.rooms.recommendations import store
from veza.rooms.recommendations.model import BadModel, Model
from veza.rooms.recommendations.store import Made

log = structlog.get_logger()

# Told when there is a new model.
CHANNEL = "veza_recommendations"
# Seconds that a request waits for a model that is on its way; then the one before must do.
PATIENCE = 1.0
# Seconds after which a model that could not be fetched is tried again: so not every request waits in vain.
AGAIN = 30.0


class Shelf:
    """Keeps a model at hand."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage
        self._model: Model | None = None
        self._holds: UUID | None = None  # the model that is at hand, or could not be used
        self._fetching: asyncio.Task[None] | None = None
        self._missed: tuple[UUID, float] | None = None  # the one that could not be fetched, and when

    async def present(self) -> Model | None:
        """The model that holds; for a moment after a new one was made perhaps the one before, or none."""
        async with self._database.read() as view:
            made = await store.newest(view)
        if made is not None and made.id != self._holds and not self._missed_just_now(made):
            if self._fetching is None or self._fetching.done():
                self._fetching = asyncio.create_task(self._fetch(made), name="recommendations:fetch")
            await asyncio.wait([self._fetching], timeout=PATIENCE)
        return self._model

    def _missed_just_now(self, made: Made) -> bool:
        return (
            self._missed is not None
            and self._missed[0] == made.id
            and clock.monotonic() < self._missed[1] + AGAIN
        )

    async def run(self) -> None:
        """Fetch each new model before anybody asks, until cancelled."""
        news = asyncio.Event()
        self._database.listen(CHANNEL, news.set)
        while True:
            news.clear()
            try:
                await self.present()
            except Exception:
                log.exception("recommendations.not_fetched")  # whoever asks tries again
            await news.wait()

    async def _fetch(self, made: Made) -> None:
        try:
            self._model = await self._opened(made)
        except NoSuchFile:  # removed meanwhile, for there is a newer one
            self._missed = made.id, clock.monotonic()
            return
        except Unavailable:
            log.warning("recommendations.not_fetched", model=str(made.id))
            self._missed = made.id, clock.monotonic()
            return
        except (BadModel, OSError):
            log.exception("recommendations.bad_model", model=str(made.id))
        self._holds = made.id

    async def _opened(self, made: Made) -> Model:
        copy = self._storage.scratch / f"model-{new_id()}"
        path = await self._storage.fetch_to(made.key, copy)
        try:
            return await asyncio.to_thread(_open, path, made)
        finally:
            with suppress(FileNotFoundError):  # an open file needs no name
                copy.unlink()


def _open(path: Path, made: Made) -> Model:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != made.digest:
        raise BadModel("its bytes are not those that were stored")
    return Model(path)


TheShelf = Annotated[Shelf, Dependency(skip_validation=True)]

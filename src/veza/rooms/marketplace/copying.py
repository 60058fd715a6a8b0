"""Making copies, and removing those that nobody uses."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import structlog

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import VezaError
from veza.core.ids import new_id
from veza.core.installation import may_sweep
from veza.core.jobs import Job, LeaseLost, NoPayload, finish
from veza.core.storage import NoSuchFile, Storage
from veza.core.worker import Task
from veza.media import MediaLimits, Sound, make_copy
from veza.rooms.marketplace import copies_store, licences_store
from veza.rooms.marketplace.copies import ROOT, Recipe, list_recipes
from veza.rooms.marketplace.errors import FormatNotAvailable, NothingToDownload
from veza.rooms.marketplace.kinds import MAKE_COPY, SWEEP_COPIES, MakeCopy

log = structlog.get_logger()

# A copy that nobody has asked for in so long is made again when somebody does.
KEPT_FOR = timedelta(days=30)
# What could not be made is tried again after so long, should it be asked for.
FAILED_FOR = timedelta(days=1)
# What is written before its row may be without one for as long as that takes.
ORPHAN_AGE = timedelta(hours=24)
_PIECE = 200


class CopyJobs:
    """The jobs about copies, with what they work on."""

    def __init__(self, database: Database, storage: Storage, limits: MediaLimits) -> None:
        self._database = database
        self._storage = storage
        self._limits = limits

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [Task(MAKE_COPY, self.make, dead=give_up), Task(SWEEP_COPIES, self.sweep)]

    async def make(self, job: Job, what: MakeCopy) -> None:
        """Make a copy, store it, and then say so in one transaction: before that there is none."""
        async with self._database.read() as view:
            recipe = await _find(view, what)
            there = await copies_store.list_of(view, what.order_id, what.product_id, what.format)
        if recipe is None:
            return  # given back meanwhile
        if (copy := there.get(what.position)) and copy.key and copy.mark == recipe.mark:
            return
        workdir = self._storage.scratch / f"copy-{new_id().hex}"
        workdir.mkdir()
        try:
            made = await self._encode(recipe, workdir)
            await self._keep(job, what, recipe, made)
        except VezaError as error:
            if error.status >= 500:  # noqa: PLR2004 - ours, and worth another try
                raise
            log.info("copy.refused", order_id=str(what.order_id), code=error.code)
            async with self._database.write() as tx:
                await finish(tx, job)
                await copies_store.put(tx, what, recipe.mark, None, 0)
        finally:
            shutil.rmtree(workdir, ignore_errors=True)

    async def _encode(self, recipe: Recipe, workdir: Path) -> Path:
        source = await self._storage.fetch_named(recipe.file.key, workdir / "original")
        cover = None
        if recipe.particulars.cover is not None:
            with suppress(NoSuchFile):  # replaced in this very moment; a copy without one is a copy
                cover = await self._storage.fetch_to(recipe.particulars.cover, workdir / "picture")
        out = workdir / "out"
        out.mkdir()
        audio = recipe.particulars.audio
        sound = Sound(recipe.particulars.duration, audio.sample_rate, audio.channels)
        return await make_copy(
            source, out, recipe.form, recipe.labels, sound=sound, cover=cover, limits=self._limits
        )

    async def _keep(self, job: Job, what: MakeCopy, recipe: Recipe, made: Path) -> None:
        # Each attempt has a file of its own: a worker that was thought dead cannot spoil another's.
        key = f"{ROOT}/{recipe.source}/{what.format}-{recipe.mark}-{new_id().hex}"
        stored = await self._storage.put_file(key, made)
        try:
            async with self._database.write() as tx:
                await finish(tx, job)
                await copies_store.put(tx, what, recipe.mark, stored.key, stored.size)
        except LeaseLost:
            await self._storage.delete(key)
            raise

    async def sweep(self, job: Job, what: NoPayload) -> None:
        """Forget what is not used any more, then remove the files that no copy names."""
        del job, what
        if await may_sweep(self._database, self._storage):
            await sweep_copies(self._database, self._storage, ORPHAN_AGE)


async def sweep_copies(database: Database, storage: Storage, age: timedelta) -> None:
    """Forget copies that nobody uses, and remove the files that are at least so old and that none names."""
    now = clock.now()
    async with database.write() as tx:
        await copies_store.drop_unused(tx, now - KEPT_FOR, now - FAILED_FOR)
    old: list[str] = []
    async for entry in storage.list(ROOT):
        if entry.modified <= now - age:
            old.append(entry.key)
        if len(old) == _PIECE:
            await _remove_unnamed(database, storage, old)
            old = []
    await _remove_unnamed(database, storage, old)


async def _remove_unnamed(database: Database, storage: Storage, keys: Sequence[str]) -> None:
    async with database.read() as view:
        named = await copies_store.named(view, keys)
    if gone := [key for key in keys if key not in named]:
        await storage.delete_many(gone)


async def give_up(tx: Tx, what: MakeCopy) -> None:
    """What keeps failing is said to have failed."""
    recipe = await _find(tx, what)
    if recipe is not None:
        await copies_store.put(tx, what, recipe.mark, None, 0)


async def _find(tx: Tx, what: MakeCopy) -> Recipe | None:
    """By what this copy is made; None when it is not to be made any more."""
    licence = await licences_store.find_of(tx, what.order_id, what.product_id)
    if licence is None:
        return None
    with suppress(FormatNotAvailable, NothingToDownload):  # what was thought to be without loss is not
        recipes = await list_recipes(tx, licence, what.format)
        return next((one for one in recipes if one.file.position == what.position), None)
    return None

"""Restoring a gigabyte of files on the same disk, read again or not, beside the disk's own copy of them.

Files are of random bytes, between 64 KiB and 24 MiB, as renditions and originals are; each is an upload of
its own. Beside it the same bytes by one writer and a sync, and by `cp -r` and a sync; none from memory.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.seed import CACHE
from bench.servers import ROOT
from bench.table import Figure
from veza.access.passwords import PasswordHasher
from veza.core import clock
from veza.core.db import open_database
from veza.core.db.migrate import upgrade
from veza.core.ids import new_id
from veza.core.storage import LocalStorage
from veza.rooms.accounts.admin import create_user
from veza.rooms.uploads import uploads_store
from veza.rooms.uploads.schemas import Upload
from veza.rooms.uploads.service import original_key

BYTES = 1_000_000_000
ROUNDS = 3
WANTED = 60.0
_TEN_GB = 10e9


async def restore() -> list[Figure]:
    """Seconds that a restore takes for 10 GB of files, by those of one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="restore-", dir=CACHE))
    try:
        size = await _fill(folder / "data")
        _veza(folder / "data", "backup", folder / "vault", "--with-secret")
        again = _veza(folder / "data", "backup", folder / "vault", "--with-secret")
        plain, copied, took = zip(*(_round(folder, size) for _ in range(ROUNDS)), strict=True)
        _let_go(folder)
        verified = _veza(folder / "second", "restore", folder / "vault", "--verify")
    finally:
        shutil.rmtree(folder)
    scale, wrote, copies = _TEN_GB / size, statistics.median(plain), statistics.median(copied)
    beside = f"{wrote * scale:.0f} s (one writer), {copies * scale:.0f} s (cp -r), synced"
    found, name = statistics.median(took) * scale, f"restore of 10 GB of files, by {size / 1e9:.1f} GB"
    measured = f"{found:.0f} s (worst of {ROUNDS}: {max(took) * scale:.0f} s)"
    return [
        Figure(name, measured, beside, "≤ 60 s", found <= WANTED),
        Figure("the same with --verify", f"{verified * scale:.0f} s", beside, "-", None),
        Figure("a second backup of these, nothing new", f"{again:.1f} s", "-", "-", None),
    ]


def _round(folder: Path, size: int) -> tuple[float, float, float]:
    """Seconds of one writer, of a copy, and of a restore, in turn."""
    plain, copied = _write(folder, size), _copy(folder)
    _let_go(folder)
    took = _veza(folder / "first", "restore", folder / "vault")
    shutil.rmtree(folder / "first")
    return plain, copied, took


def _let_go(folder: Path) -> None:
    """Have the kernel forget what it has read or written of these files."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def _veza(data: Path, *words: object) -> float:
    """Run a command on this data folder; the seconds that it took, once all is on the disk."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("VEZA_", "AWS_"))}
    os.sync()
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from veza.cli import main; main()", *map(str, words)],
        cwd=ROOT,
        env=clean | {"VEZA_DATA_DIR": str(data)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


async def _fill(data: Path) -> int:
    """A database with as many uploads as make so many bytes; how many bytes these are."""
    data.mkdir(mode=0o700)  # noqa: ASYNC240 - nothing else runs here
    database, storage = open_database(f"sqlite:///{data / 'veza.db'}"), LocalStorage(data / "files")
    await upgrade(database)
    user = await create_user(
        database, PasswordHasher(), username="ada", email="ada@example.com",
        password="seven purple lanterns", admin=False,
    )  # fmt: skip
    (data / "secret.key").write_text(f"{new_id()}{new_id()}\n")
    (data / "secret.key").chmod(0o600)
    dice, total, now = random.Random(1), 0, clock.now()
    while total < BYTES:
        size = int(2 ** dice.uniform(16, 24.6))
        made = Upload(
            id=new_id(), user_id=user.id, kind="document", filename="a", mime="application/pdf", size=size,
            status="completed", error=None, created_at=now, updated_at=now,
        )  # fmt: skip
        path = storage.scratch / made.id.hex
        path.write_bytes(dice.randbytes(size))
        await storage.put_files([(original_key(made.id), path)])
        async with database.write() as tx:
            await uploads_store.add(tx, made)
        total += size
    await storage.close()
    await database.close()
    return total


def _write(folder: Path, size: int) -> float:
    """What the disk takes from one writer of so many bytes that it has not seen before."""
    block, target = os.urandom(8 * 1024**2), folder / "written"
    os.sync()
    began = time.perf_counter()
    with target.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    target.unlink()
    return took


def _copy(folder: Path) -> float:
    os.sync()
    began = time.perf_counter()
    subprocess.run(
        ["cp", "-r", "--reflink=never", str(folder / "data/files"), str(folder / "copy")], check=True
    )
    subprocess.run(["sync", "-f", str(folder / "copy")], check=True)
    took = time.perf_counter() - began
    shutil.rmtree(folder / "copy")
    return took

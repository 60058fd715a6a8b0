"""The storage in a bucket of S3, or of what speaks its language (MinIO, SeaweedFS, Garage, R2)."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

from veza.core import clock
from veza.core.storage_base import Storage, Stored, check_key, translated
from veza.core.storage_presign import Credentials, presign
from veza.core.tracing import Kind, traced

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Config

# What lies in memory while a file goes out: two parts. S3 wants 5 MiB or more each, at most 10,000 of them.
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
_FILES_AT_ONCE = 8
_READ = 1024 * 1024


class ObjectStorage(Storage):
    """Files as objects; durable once the service has said so."""

    def __init__(
        self, store: "ObjectStore", scratch: Path, credentials: Credentials | None = None, *, place: str = ""
    ) -> None:
        super().__init__(store, scratch, place)
        self._credentials = credentials

    async def close(self) -> None:
        """Nothing is held open between requests but pooled connections, which end by themselves."""

    def local_name(self, key: str) -> None:
        """None: the file lies elsewhere."""
        check_key(key)

    @traced("storage.put_file", Kind.CLIENT)
    async def put_file(self, key: str, path: Path) -> Stored:
        """Upload the file, in parts when it is large, and remove it here."""
        check_key(key)
        try:
            with translated(place=self.place):
                size = (await asyncio.to_thread(path.stat)).st_size
                await obstore.put_async(
                    self._store, key, path, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
                )
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return Stored(key, size)

    @traced("storage.put_files", Kind.CLIENT)
    async def put_files(self, files: Sequence[tuple[str, Path]]) -> None:
        """Upload some at a time: what takes long is the way there, and that others can share."""
        turns = asyncio.Semaphore(_FILES_AT_ONCE)

        async def put(key: str, path: Path) -> None:
            async with turns:
                await self.put_file(key, path)

        for problem in await asyncio.gather(*(put(*file) for file in files), return_exceptions=True):
            if isinstance(problem, BaseException):
                raise problem

    async def settle(self) -> None:
        """What the service shows is durable already."""

    @traced("storage.put_bytes", Kind.CLIENT)
    async def put_bytes(self, key: str, data: bytes) -> Stored:
        """Upload one object."""
        with translated(place=self.place):
            await obstore.put_async(self._store, check_key(key), data)
        return Stored(key, len(data))

    @traced("storage.remove_now", Kind.CLIENT)
    async def remove_now(self, keys: Sequence[str]) -> None:
        """Remove the objects, many in one request."""
        with translated(place=self.place):
            await obstore.delete_async(self._store, [check_key(key) for key in keys])

    @traced("storage.fetch_to", Kind.CLIENT)
    async def fetch_to(self, key: str, path: Path) -> Path:
        """Download the object to ``path``, which is a whole file or not there."""
        with translated(reading=True, place=self.place):
            found = await obstore.get_async(self._store, check_key(key))
        try:
            with translated(place=self.place), await asyncio.to_thread(path.open, "wb") as file:
                async for piece in found.stream(min_chunk_size=_READ):
                    await asyncio.to_thread(file.write, piece)
        except BaseException:
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - a cancelled task may not wait any more
            raise
        return path

    async def presigned_url(self, key: str, expires: timedelta, headers: Mapping[str, str]) -> str | None:
        """An address at the service itself; None without keys to sign with."""
        check_key(key)
        if self._credentials is None or not isinstance(self._store, S3Store):
            return None
        # The library knows the bucket's address, but cannot sign the answer's headers.
        plain = obstore.sign(self._store, "GET", key, expires).partition("?")[0]
        return presign(plain, self._credentials, clock.now(), expires, headers)


def open_s3(bucket: str, prefix: str, options: Mapping[str, str], scratch: Path) -> ObjectStorage:
    """The storage in a bucket, below ``prefix``.

    ``options`` are the standard variables by their names: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL. Without keys, those of the machine's role are used.
    """
    endpoint = options.get("AWS_ENDPOINT_URL", "")
    region = options.get("AWS_REGION", "us-east-1")
    key, secret = options.get("AWS_ACCESS_KEY_ID", ""), options.get("AWS_SECRET_ACCESS_KEY", "")
    token = options.get("AWS_SESSION_TOKEN", "")
    config: S3Config = {"region": region}
    if endpoint:
        config["endpoint"] = endpoint
    if key and secret:
        config |= {"access_key_id": key, "secret_access_key": secret}
    if token:
        config["session_token"] = token
    store = S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            # A listener may take hours over one answer; what counts is that bytes keep coming.
            "timeout": timedelta(days=1),
            "read_timeout": timedelta(seconds=30),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=15)},
    )
    credentials = Credentials(key, secret, region, token) if key and secret else None
    # Of a URL that has them, nobody's keys.
    place = f"s3://{bucket.rpartition('@')[2]}/{prefix}".rstrip("/")
    return ObjectStorage(store, scratch, credentials, place=place)

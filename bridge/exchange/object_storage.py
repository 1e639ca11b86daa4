"""Where finished stems lie for other programs: a folder served under our own address, or object storage.

Keys are made here of digests and slugs; nothing that a caller sent is ever part of a path. Object storage speaks
through obstore (the extra ``storage``), one interface for Azure Blob, S3 and Google.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cache
from bridge.errors import DiskFailed, StartupError, StorageUnavailable, first_line
from bridge.settings import Settings
from bridge.system.disk import on_disk
from bridge.system.threads import FILES
from prompts import slug

logger = logging.getLogger(__name__)

FOLDER = "stems"
"""Below the data folder, and below our own address."""

_KEY = re.compile(r"[0-9a-f]{32}/[a-z0-9_]{1,48}-[0-9a-f]{16,64}\.wav")
_SECONDS = 120.0
"""A storage that takes longer to answer is down."""
# Azurite's account and key, printed in Azure's own manual; a connection string may name them by one word.
_DEVELOPMENT = (
    "AccountName=devstoreaccount1;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def stem_key(request_id: str, stem: str, sample_id: str) -> str:
    """Return the key of one stem of one request; any text is safe for the first two."""
    digest = hashlib.sha256(request_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{digest}/{slug(stem) or 'stem'}-{sample_id}.wav"


class Storage(Protocol):
    """A place for files that other programs fetch."""

    async def put(self, key: str, data: bytes) -> None:
        """Store a file, in place of an older one. Raises StorageFull, StorageUnavailable."""
        ...

    async def url(self, key: str, base: str) -> str:
        """Where a stored file can be fetched; ``base``: our own address. Raises StorageUnavailable."""
        ...

    async def check(self) -> None:
        """Raise StorageUnavailable unless files could be stored now."""
        ...

    async def forget(self, request_id: str) -> None:
        """Remove a request's files, where they are ours to remove."""
        ...


class LocalFolder:
    """Files below the data folder, served by our own server as ``/stems/<key>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, data: bytes) -> None:
        """Write it so that a reader sees all of it or nothing."""
        await FILES.run(replace_file, self.path(key), data)

    async def url(self, key: str, base: str) -> str:
        """Below our own address."""
        return f"{base}/{FOLDER}/{key}"

    async def check(self) -> None:
        """Look whether the folder can be written."""

        def look() -> None:
            with _as_ours(self._folder):
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not os.access(self._folder, os.W_OK):
                    raise PermissionError(errno.EACCES, "not writable")

        await FILES.run(look)

    async def forget(self, request_id: str) -> None:
        """Remove the request's folder."""
        folder = self._folder / stem_key(request_id, "", "").partition("/")[0]
        await FILES.run(shutil.rmtree, folder, ignore_errors=True)

    def path(self, key: str) -> Path:
        """The file of a key. Raises ValueError for anything that is not a key of ours."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key[:80]!r} is not a key")
        return self._folder / key


class ObjectStorage:
    """A bucket or container, through obstore; addresses are signed, and good for reading one file for a while."""

    def __init__(self, store: Any, name: str, hours: int) -> None:
        self._store = store
        self._name = name
        self._expires = timedelta(hours=hours)

    async def put(self, key: str, data: bytes) -> None:
        """Upload; obstore repeats what can pass."""
        import obstore

        kind = {"Content-Type": "audio/wav"}
        await self._asked(lambda: obstore.put_async(self._store, key, data, attributes=kind))

    async def url(self, key: str, base: str) -> str:  # noqa: ARG002  the storage has an address of its own
        """An address with a signature (SAS, presigned)."""
        import obstore

        address = await self._asked(lambda: obstore.sign_async(self._store, "GET", key, self._expires))
        return str(address)

    async def check(self) -> None:
        """List the first of what is there."""
        import obstore

        await self._asked(lambda: anext(aiter(obstore.list(self._store, chunk_size=1)), None))

    async def forget(self, request_id: str) -> None:
        """Leave them: how long a bucket keeps its files is its owner's rule."""

    async def _asked(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        from obstore.exceptions import BaseError

        try:
            async with asyncio.timeout(_SECONDS):
                return await ask()
        except (BaseError, OSError, ValueError) as error:  # TimeoutError is an OSError
            # What the storage said may hold addresses and names of its owner: it is for the log alone.
            logger.warning("%s: %s", self._name, first_line(error))
            raise StorageUnavailable(_sentence(self._name, error)) from None


def replace_file(path: Path, data: bytes) -> None:
    """Write the whole file at once, and its folder where it is missing. Raises StorageFull, StorageUnavailable."""
    with _as_ours(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            cache.replace_file(path, data)
        except cache.StoreError as error:
            raise error.__cause__ or error from None  # the disk's own error: this is not the store's folder


def open_storage(settings: Settings) -> Storage:
    """Open what the settings name; nothing is asked of it yet. Raises StartupError when they cannot be meant."""
    named, account_url = (
        None if settings.is_withheld(name) else getattr(settings, name) for name in ("storage_url", "azure_account_url")
    )
    azure = settings.azure_connection_string or account_url
    if named and azure:
        raise StartupError(
            "BRIDGE_STORAGE_URL and an Azure account are both set, and stems go to one place: remove one of them."
        )
    if not named and not azure:
        return LocalFolder(settings.data_dir / FOLDER)
    try:
        import obstore.store
        from obstore.exceptions import BaseError
    except ImportError:
        raise StartupError(
            "Object storage is set, and the extra for it is not installed: pip install 'sample-bridge[storage]'."
        ) from None
    common: dict[str, Any] = {
        "retry_config": {"max_retries": 4, "retry_timeout": timedelta(seconds=60)},
        # Whether plain HTTP is spoken follows from the address that is set: a test server, a box in a rack.
        "client_options": {"allow_http": True, "connect_timeout": "5s", "timeout": "60s"},
    }
    try:
        if named:
            store: Any = obstore.store.from_url(named, **common)
            return ObjectStorage(store, named.partition("://")[0] + " storage", settings.blob_url_hours)
        account = _azure_account(settings)
        store = obstore.store.AzureStore(container_name=settings.storage_container, **account, **common)
    except (BaseError, ValueError, TypeError) as error:
        raise StartupError(f"The object storage that is set cannot be used: {first_line(error)}.") from None
    return ObjectStorage(store, "Azure storage", settings.blob_url_hours)


def _azure_account(settings: Settings) -> dict[str, Any]:
    """Read the account's name, key and address. Raises ValueError; its message holds no secret."""
    if settings.azure_connection_string is None:
        address = urlsplit(settings.azure_account_url or "")
        # Of an emulator or a gateway the account is the path's first part, otherwise the host's.
        name = address.path.strip("/").partition("/")[0] or (address.hostname or "").partition(".")[0]
        return {"account_name": name, "endpoint": address.geturl()}
    text = settings.azure_connection_string.get_secret_value()
    if re.search(r"UseDevelopmentStorage=true", text, re.IGNORECASE):
        text = _DEVELOPMENT
    pairs = (part.partition("=") for part in text.split(";"))
    parts = {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}
    name, key = parts.get("accountname", ""), parts.get("accountkey", "")
    if not name or not key:
        raise ValueError("the connection string needs AccountName and AccountKey; with the key addresses are signed")
    suffix, scheme = parts.get("endpointsuffix", "core.windows.net"), parts.get("defaultendpointsprotocol", "https")
    endpoint = parts.get("blobendpoint") or f"{scheme}://{name}.blob.{suffix}"
    return {"account_name": name, "account_key": key, "endpoint": endpoint.rstrip("/")}


def _sentence(name: str, error: BaseException) -> str:
    kind, text = type(error).__name__, str(error)
    # A listing that is refused is a GenericError; its status stands in the text alone.
    if kind == "NotFoundError" or "404 Not Found" in text:
        return f"{name}: the bucket or container is not there. Create it."
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or "403 Forbidden" in text:
        return f"{name} refuses these credentials. Give them the right to write."
    return f"{name} did not take the file ({kind}); the server's log has what it said."


@contextlib.contextmanager
def _as_ours(folder: Path) -> Iterator[None]:
    """Turn a disk's errors into ours."""
    try:
        with on_disk(folder):
            yield
    except DiskFailed as error:
        raise StorageUnavailable(error.message) from error

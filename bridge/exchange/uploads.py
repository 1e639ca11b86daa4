"""Uploads: audio that other people send, checked, kept and described.

The bytes are read by nothing but a child process under limits (``bridge.audio.files.reader``); what is kept is what it
has decoded and written again, under a name made of the bytes' digest. Nothing of the sender's names is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import math
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from bridge.audio.files.incoming import kinds
from bridge.engines.hosting.sources import UPLOADS
from bridge.errors import Busy, DiskFailed, InvalidRequest, NotFound, StorageFull, TooLarge, UnsupportedMedia
from bridge.settings import Settings
from bridge.system.disk import on_disk
from bridge.system.environment import READER, chosen
from bridge.system.threads import FILES
from cache import write_private

logger = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 2
"""Files that are read at the same time."""
MOST_WAITING = 16
"""Whole files that wait to be read; one more is refused as busy."""
MOST_RECEIVED = 32
"""Files that are on their way in, or wait to be read."""
STALLED_SECONDS = 2.0
"""A file of which nothing has come for this long gives way to another one, when all places are taken."""

_ID = re.compile(r"[0-9a-f]{32}")
_SECONDS = 120.0
_STEP = 1 << 20
_STATUS = {"unsupported_media_type": UnsupportedMedia}


@dataclass(frozen=True, slots=True)
class Upload:
    """One piece of audio that was sent."""

    audio_id: str
    """32 hexadecimal digits: the same bytes have the same."""
    features: dict[str, Any]
    """See ``bridge.audio.analysis.features``; besides them duration (seconds), sample_rate, channels and format."""


class Uploads:
    """The folder of uploads of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / UPLOADS
        self._most_bytes = settings.max_upload_bytes
        self._most_seconds = settings.max_upload_duration
        self._limit = settings.uploads_limit_mb * 2**20
        self._reading = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._receiving: dict[object, Receiver | None] = {}
        self._begun = False

    @asynccontextmanager
    async def receive(self, drop: Callable[[], None] = lambda: None) -> AsyncIterator[Receiver]:
        """Take a file in, piece by piece, into a file that is gone afterwards. Raises Busy, StorageFull.

        A file that is not whole holds no place for long: when all are taken, one of which nothing has come for
        ``STALLED_SECONDS`` is dropped by its ``drop``, the oldest first.
        """
        if self._waiting >= MOST_WAITING:
            raise Busy("Too many files are being read already. Send yours again in a moment.")
        if len(self._receiving) >= MOST_RECEIVED and not self._drop_stalled():
            raise Busy("Too many files are being sent already. Send yours again in a moment.")
        key = object()
        self._receiving[key] = None
        try:
            async with self._workplace() as folder:
                receiver = Receiver(folder / "file", self._most_bytes, drop)
                if key in self._receiving:
                    self._receiving[key] = receiver
                try:
                    yield receiver
                finally:
                    receiver.close()
        finally:
            self._receiving.pop(key, None)

    def _drop_stalled(self) -> bool:
        """Drop the upload that has stood still for longest, if any has."""
        still = [(receiver.moved, key) for key, receiver in self._receiving.items() if receiver and not receiver.whole]
        moved, key = min(still, key=lambda each: each[0], default=(math.inf, None))
        if key is None or time.monotonic() - moved < STALLED_SECONDS:
            return False
        receiver = self._receiving.pop(key)
        if receiver is not None:
            logger.info("an upload stood still while others waited: dropped")
            receiver.drop()
        return True

    async def keep(self, receiver: Receiver) -> Upload:
        """Read what was received, and keep it. Raises InvalidRequest and its kinds, StorageFull."""
        digest = await receiver.end()
        if (known := await self._known(digest)) is not None:
            return known
        decoded = receiver.path.with_suffix(".flac")
        document = await self._run("read", receiver.path, decoded, "--seconds", str(self._most_seconds))
        upload = Upload(digest, document["features"])
        await _on_disk(self._folder.parent, lambda: self._adopt(upload, decoded))
        return upload

    async def judge(self, receiver: Receiver) -> dict[str, Any]:
        """Evaluate what was received; nothing of it is kept. Raises as ``keep`` does."""
        await receiver.end()
        return await self._judged(receiver.path, receiver.path.with_suffix(".flac"))

    async def judge_file(self, source: Path) -> dict[str, Any]:
        """Evaluate an audio file that is ours; see bridge/audio/analysis/figures.py."""
        async with self._workplace() as folder:
            return await self._judged(source, folder / "decoded.flac")

    async def _judged(self, source: Path, decoded: Path) -> dict[str, Any]:
        document = await self._run("judge", source, decoded, "--seconds", str(self._most_seconds))
        measures: dict[str, Any] = document["measures"]
        return measures

    async def get(self, audio_id: str) -> Upload:
        """An upload by its id. Raises NotFound."""
        known = await self._known(audio_id) if _ID.fullmatch(audio_id) else None
        if known is None:
            raise NotFound(
                "No audio with that id is kept. Upload it (again) at POST /api/upload.", code="unknown_audio"
            )
        return known

    async def at_rate(self, source: Path, sample_id: str, rate: int) -> Path:
        """A WAV (16 bit) of a sample at another rate, made in the child when it is not there yet."""
        target = self._folder / f"{sample_id}.{rate}.wav"
        if not await _on_disk(self._folder.parent, lambda: _touched(target)):
            async with self._workplace() as folder:
                made = folder / "made.wav"
                await self._run("rate", source, made, "--rate", str(rate))
                await _on_disk(self._folder.parent, lambda: made.replace(target))
            await _on_disk(self._folder.parent, lambda: self._sweep(target.name))
        return target

    @asynccontextmanager
    async def _workplace(self) -> AsyncIterator[Path]:
        """A folder for one file's way in, gone afterwards. Made and removed in a thread: a disk may hang."""
        made = await _on_disk(self._folder.parent, lambda: tempfile.mkdtemp(dir=self._made(), prefix="in-"))
        try:
            yield Path(made)
        finally:
            with contextlib.suppress(Busy):
                gone = FILES.submit(functools.partial(shutil.rmtree, made, ignore_errors=True))
                await asyncio.shield(asyncio.wrap_future(gone))

    def _made(self) -> Path:
        """The folder; at the first time without what a killed server has left in it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._begun:
            self._begun = True
            for left in self._folder.glob("in-*"):
                shutil.rmtree(left, ignore_errors=True)
        return self._folder

    async def _known(self, audio_id: str) -> Upload | None:
        def look() -> Upload | None:
            try:
                facts = self._folder / f"{audio_id}.json"
                if not facts.is_file():
                    return None
                features = json.loads(facts.read_bytes())
            except (FileNotFoundError, ValueError):
                return None
            return Upload(audio_id, features) if _touched(self._folder / f"{audio_id}.flac") else None

        return await _on_disk(self._folder.parent, look)

    def _adopt(self, upload: Upload, decoded: Path) -> None:
        decoded.replace(self._folder / f"{upload.audio_id}.flac")
        facts = decoded.with_suffix(".json")
        write_private(facts, json.dumps(upload.features).encode())
        facts.replace(self._folder / f"{upload.audio_id}.json")
        self._sweep(f"{upload.audio_id}.flac")

    def _sweep(self, newest: str) -> None:
        """Remove what was used least recently until the folder is small enough; never what has just come."""
        files = [(file.stat(), file) for file in self._folder.iterdir() if file.suffix in {".flac", ".wav"}]
        total = sum(stat.st_size for stat, _ in files)
        for stat, file in sorted(files, key=lambda pair: pair[0].st_mtime_ns):
            if total <= self._limit:
                return
            if file.name != newest:
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                total -= stat.st_size

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            async with self._reading:
                yield
        finally:
            self._waiting -= 1

    async def _run(self, work: str, source: Path, target: Path, *options: str) -> dict[str, Any]:
        """Let the child do one piece of work. Raises InvalidRequest: it refused, or broke on the file."""
        environment = chosen(os.environ, READER)
        if self._waiting >= MOST_WAITING:
            raise Busy("Too many files are being read already. Send yours again in a moment.")
        async with self._in_turn():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "bridge.audio.files.reader", work, str(source), str(target), *options,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            try:
                answer, noise = await asyncio.wait_for(process.communicate(), _SECONDS)
            except TimeoutError:
                raise InvalidRequest(
                    "The file takes too long to be read.", code="unreadable_audio", field="file"
                ) from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode != 0:
            logger.warning(
                "reading an upload ended with %s: %s", process.returncode, noise.decode(errors="replace")[-500:]
            )
            if b"No space left" in noise:
                raise StorageFull("The data folder cannot take another file. Make room, and send it again.")
            if b"Read-only file system" in noise:
                raise DiskFailed("The disk of the data folder is read-only, so the file cannot be read in. Check it.")
            raise InvalidRequest("The file cannot be read as audio.", code="unreadable_audio", field="file")
        document: dict[str, Any] = json.loads(answer)
        if "refused" in document:
            kind = _STATUS.get(document["refused"], InvalidRequest)
            raise kind(document["message"], code=document["refused"], field="file")
        return document


class Receiver:
    """Writes a file as it comes in; nothing of it is held in memory but the last MiB."""

    def __init__(self, path: Path, most_bytes: int, drop: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.drop = drop
        """Ends the connection that sends it."""
        self.moved = time.monotonic()
        """When something of it came last, in seconds of ``time.monotonic``."""
        self.whole = False
        self._most = most_bytes
        self._digest = hashlib.sha256()
        self._held = bytearray()
        self._size = 0
        self._file: FileIO | None = None

    async def write(self, piece: bytes) -> None:
        """Take the next piece. Raises TooLarge, UnsupportedMedia, StorageFull."""
        self._size += len(piece)
        if piece:
            self.moved = time.monotonic()
        if self._size > self._most:
            raise too_large(self._most)
        self._held += piece
        if len(self._held) >= _STEP:
            await self._flush()

    async def end(self) -> str:
        """Finish the file, and give its id. Raises InvalidRequest when it is empty, or UnsupportedMedia."""
        self.whole = True
        await self._flush()
        self.close()
        if not self._size:
            raise InvalidRequest("file: the file is empty; send audio.", code="empty_file", field="file")
        return self._digest.hexdigest()[:32]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    async def _flush(self) -> None:
        if not self._held:
            return
        if self._file is None and (named := kinds.other(bytes(self._held[: kinds.LOOKED_AT]))) is not None:
            raise UnsupportedMedia(f"This is {named}. {kinds.TAKEN}", field="file")
        piece, self._held = self._held, bytearray()

        def write() -> None:
            if self._file is None:
                self._file = self.path.open("xb", buffering=0)  # closing it never waits for the disk
            self._digest.update(piece)
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]

        await _on_disk(self.path.parents[2], write)


def too_large(most: int) -> TooLarge:
    """What is said of a file of more than ``most`` bytes."""
    return TooLarge(f"file: the file is larger than {most / 2**20:g} MiB; send a part of it.", field="file")


async def _on_disk(folder: Path, function: Callable[[], T]) -> T:
    with on_disk(folder):
        return await FILES.run(function)


def _touched(path: Path) -> bool:
    """Is it there? Then it has been used just now."""
    try:
        os.utime(path)
    except OSError:  # also of a disk that can only be read
        return path.exists()
    return True

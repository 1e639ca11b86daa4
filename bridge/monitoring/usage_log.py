"""Who asked for what, when, and what it cost: JSON lines in ``usage.jsonl`` of the data folder.

No keys or tokens, no addresses of people; the words only when ``usage_prompts`` says so. A line comes when an asker's
job has ended. Above its size the file becomes ``usage.1.jsonl``, and the one of that name is gone. A file with lines
that cannot be read is set aside at the start, and its other lines are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.engines.cloud.spending import Spending, work_of
from bridge.errors import BridgeError
from bridge.jobs import State, Ticket
from bridge.jobs.happenings import AskEnded, Happening
from bridge.logs import current_request
from bridge.rights import current_caller
from bridge.system.disk import on_disk
from bridge.system.ledgers import USAGE, USAGE_BEFORE, failure, put_aside
from bridge.system.threads import WRITES
from cache import replace_file

if TYPE_CHECKING:
    from bridge.sounds.service import SampleService

logger = logging.getLogger(__name__)

_ALONE = threading.Lock()
"""Held while a log is written: a line must not go into a file that is being replaced."""

FILE: Final = USAGE


class UsageLog:
    """Listens to a service and writes a line for every ticket that has ended; pre-generated sounds have no asker."""

    def __init__(self, service: SampleService) -> None:
        settings = service.settings
        self._service = service
        self._file = settings.data_dir / FILE
        self._limit = settings.usage_log_mb * 2**20
        self._with_prompts = settings.usage_prompts
        self._spending = Spending(settings.data_dir)
        self._lines: asyncio.Queue[tuple[dict[str, Any], Collection[str], float] | None] = asyncio.Queue()
        self._complained = False
        if self._limit:
            service.happenings.subscribe(self._on_happening)

    def attach(self, app: web.Application) -> None:
        """Write while ``app`` runs, and what is left when it ends."""
        if self._limit:
            app.cleanup_ctx.append(self._run)

    async def _run(self, _: web.Application) -> AsyncIterator[None]:
        writing = asyncio.create_task(self._write_all())
        yield
        self._lines.put_nowait(None)
        await writing

    async def _write_all(self) -> None:
        try:
            await WRITES.run(mend_usage, self._file.parent)
        except BridgeError as error:
            logger.warning("the usage log cannot be looked through: %s", failure(error))
        while (entry := await self._lines.get()) is not None:
            await WRITES.run(self._write, *entry)

    def _on_happening(self, happening: Happening) -> None:
        if isinstance(happening, AskEnded) and happening.ticket.claim.request_id is not None:
            self._note(happening.ticket)

    def streamed(
        self,
        stream_id: str,
        request: Mapping[str, Any],
        state: State,
        *,
        engine: str,
        seconds: float,
        started: float,
        works: Collection[str] = (),
        error: BridgeError | None = None,
    ) -> None:
        """A stream has ended: a line says how many ``seconds`` of sound it sent since ``started`` (Unix seconds)."""
        if not self._limit:
            return
        session = request.get("session")
        line: dict[str, Any] = {
            "at": _now(),
            "request_id": current_request(),
            "who": current_caller().name or None,
            "session": session[:64] if isinstance(session, str) else None,
            "stream": stream_id,
            "state": str(state),
            "engine": engine,
            "seconds": round(seconds, 3),
            "played_s": round(max(time.time() - started, 0.0), 3),
        }
        if error is not None:
            line["error"] = error.code
        if self._with_prompts:
            line["prompt"] = request.get("prompt")
        self._lines.put_nowait((line, works, started))

    def _note(self, ticket: Ticket) -> None:
        job, claim = ticket.job, ticket.claim
        placed = ticket.outcome
        sample = getattr(placed, "sample", None)
        line: dict[str, Any] = {
            "at": _now(),
            "request_id": claim.request_id,
            "who": claim.who,
            "session": claim.session,
            "job_id": ticket.id,
            "name": getattr(placed, "name", None) or claim.name,
            "state": str(ticket.state),
            "cached": bool(getattr(placed, "cached", False)),
            "engine": placed.facts.engine if placed is not None else job.lane,
        }
        if sample is not None:
            line["seconds"] = round(sample.frames / sample.rate, 3)
        if job.error is not None and ticket.state is not State.COMPLETED:
            line["error"] = job.error.code
        if self._with_prompts:
            line["prompt"] = claim.prompt
        works = []
        if job.started is not None and job.work.specs:
            line["worked_s"] = round(max((job.ended or job.started) - job.started, 0.0), 3)
            works = [work_of(job.work.specs[0])]
        self._lines.put_nowait((line, works, job.started or 0.0))

    def _write(self, line: dict[str, Any], works: Collection[str], since: float) -> None:
        try:
            line["cost"] = round(sum(self._spending.of(work, since) for work in works), 6)
            text = json.dumps(line, ensure_ascii=False) + "\n"
            data = text.encode(errors="replace")
            with _ALONE:
                _make_room(self._file, self._limit, len(data))
                _append(self._file, data)
            self._complained = False
        except Exception as error:  # a log is never the reason why a sound does not come
            if not self._complained:
                logger.warning("the usage log cannot be written (%s)", error)
            self._complained = True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def mend_usage(data_dir: Path) -> None:
    """Set a log aside that has lines which cannot be read; what can be read is kept. Raises StorageFull, DiskFailed."""
    for file in (data_dir / USAGE, data_dir / USAGE_BEFORE):
        if not os.path.lexists(file):
            continue
        with on_disk(data_dir), _ALONE:
            try:
                lines, damaged = _lines(file) if file.is_file() else ([], 1)
            except (IsADirectoryError, PermissionError, FileNotFoundError):
                lines, damaged = [], 1
            if damaged:
                put_aside(file)
                _write_lines(file, lines)


def forget_usage(data_dir: Path, names: Collection[str] | None) -> None:
    """Take names and words out of the usage log: of the sounds with these names, None for all.

    Lines that cannot be read go. Raises StorageFull, DiskFailed.
    """
    with on_disk(data_dir), _ALONE:
        for file in (data_dir / USAGE, data_dir / USAGE_BEFORE):
            if not file.is_file():
                continue
            lines, _ = _lines(file)
            for line in lines:
                if names is None or line.get("name") in names:
                    line["name"] = None
                    line.pop("prompt", None)
            _write_lines(file, lines)


def _lines(file: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines that can be read, and how many others there are."""
    lines, damaged = [], 0
    # The newline that ends each line is the only one: those of Unicode may stand within the words.
    for text in file.read_bytes().split(b"\n"):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict):
            lines.append(line)
        else:
            damaged += 1
    return lines, damaged


def _write_lines(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    replace_file(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(errors="replace"))


def _append(file: Path, line: bytes) -> None:
    """Write a line whole or not at all: half a line would spoil the next one."""
    # A pipe in the place of the file is an error, and no call waits for a reader of it.
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    with os.fdopen(handle, "ab", buffering=0) as log:  # a buffer would write the rest when it is closed
        size, left = log.tell(), memoryview(line)
        try:
            while left:
                left = left[log.write(left) :]
        except BaseException:
            with contextlib.suppress(OSError):
                log.truncate(size)
            raise


def _make_room(file: Path, limit: int, size: int) -> None:
    try:
        full = file.stat().st_size + size > limit
    except FileNotFoundError:
        file.touch(mode=0o600)
        return
    if full:
        file.replace(file.with_name(USAGE_BEFORE))
        file.touch(mode=0o600)

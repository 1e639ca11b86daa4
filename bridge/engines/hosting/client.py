"""The server's side of an engine's process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.engines.hosting import framing as _framing
from bridge.engines.hosting.framing import Frame
from bridge.engines.hosting.passages import Passage
from bridge.errors import LOST, BridgeError, EngineCrashed, EngineError, EngineTimeout, EngineUnavailable
from bridge.plugins.engine import EngineInfo
from bridge.system.disk import remove_files
from bridge.system.environment import of_engine
from prompts import SampleSpec

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 1.5
"""How long a cancelled request may take to stop before its process is killed."""
EXIT_SECONDS = 0.5
"""How long a process may take to end by itself once its socket is closed."""
SILENCE_SECONDS = 30.0
"""A process that says nothing for this long hangs as a whole (a native call that never gives the interpreter back)."""
QUIET_SECONDS = 5.0
"""A process says every second that it is there; one that has said nothing for this long does not answer."""
ATTEMPTS = 3
"""A request that was running each time its process crashed is given up after this many crashes."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished sample's files in ``incoming/``, with its facts."""

    sample_id: str
    master: Path
    deliveries: Mapping[str, Path]
    rate: int
    channels: int
    frames: int
    measures: Mapping[str, Any]
    flags: tuple[str, ...] = ()
    """What the quality gate has against it; see bridge/audio/finishing/gate.py."""
    score: float = 1.0
    """0..1; takes of one order are kept in this order."""
    decisions: tuple[str, ...] = ()
    """What finishing did, a sentence each."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the audio says about itself: ``root``, and the ``seed`` it was made with in the end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a stream: interleaved 16-bit little-endian PCM."""

    rate: int
    channels: int
    pcm: bytes


@dataclass
class _Pending:
    answer: asyncio.Future[Made | None]
    """None: a passage has been played to its end."""
    on_progress: Callable[[float], None]
    pieces: asyncio.Queue[Piece | None] = field(default_factory=asyncio.Queue)


class _KilledAtStart(Exception):
    """The process was ended from outside before it had said what it is."""


class _Gone(Exception):
    """The process ended. ``blameless``: we ended it ourselves because of another request."""

    def __init__(self, blameless: bool) -> None:
        super().__init__("the engine's process ended")
        self.blameless = blameless


@dataclass
class _Process:
    """One running child: its process, socket and what it works on."""

    process: asyncio.subprocess.Process
    writer: asyncio.StreamWriter
    info: EngineInfo
    pending: dict[str, _Pending] = field(default_factory=dict)
    blameless_end: bool = False
    heard: float = field(default_factory=time.monotonic)
    """When it last said anything."""


class HostedEngine:
    """One engine in a child process that is started when first needed and again when it ended.

    ``make`` may be called many times at once; the engine's own concurrency is kept by the job queue's lanes.
    ``environment``: variables besides those that every engine gets (bridge/system/environment.py), secrets among them.
    ``members``: the engines in that process, where it is not just the one of that name.
    """

    def __init__(
        self,
        name: str,
        *,
        incoming: Path,
        options: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        members: Sequence[str] = (),
        start_seconds: float = 600.0,
        rate: int = 44100,
    ) -> None:
        self.name = name
        self._rate = rate
        self.error: EngineError | None = None
        """Why it could not be started the last time, None when it could."""
        self.note: str | None = None
        """What it does while it starts (a download, say), None when it does not start."""
        self.restarts = 0
        self.out_of_memory = 0
        """How often the device's or the machine's memory did not suffice."""
        self._incoming = incoming
        self._options = dict(options or {})
        # Engines work on several sounds at a time; a matrix product that wants all cores for itself waits for them.
        inherited = of_engine(os.environ, members or (name,))
        self._environment = {"OPENBLAS_NUM_THREADS": "1", **inherited, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._start_seconds = start_seconds
        self._starting: asyncio.Task[_Process] | None = None
        self._newborn: asyncio.subprocess.Process | None = None
        self._alone = asyncio.Lock()
        self._current: _Process | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._info: EngineInfo | None = None
        self._closed = False

    @property
    def info(self) -> EngineInfo | None:
        """What the engine said about itself; None until it was started once."""
        return self._info

    @property
    def running(self) -> bool:
        """True while its process is there."""
        return self._current is not None

    @property
    def silent(self) -> bool:
        """True while its process is there and does not answer."""
        return self._current is not None and time.monotonic() - self._current.heard >= QUIET_SECONDS

    @property
    def pid(self) -> int | None:
        """Of the child process."""
        return self._current.process.pid if self._current else None

    async def start(self) -> EngineInfo:
        """Start the process unless it runs. Raises EngineUnavailable or EngineTimeout."""
        return (await self._ready()).info

    async def make(
        self, spec: SampleSpec, on_progress: Callable[[float], None] = lambda _: None, *, background: bool = False
    ) -> Made:
        """Make a finished sample. Cancelling this coroutine stops the work within two seconds.

        ``background``: no player waits for it, so an engine that makes several at once lets the others go first.
        Raises EngineError and its kin. A crash of the process makes it try again, alone, up to ``ATTEMPTS`` times; not
        where a request may cost money.
        """
        for attempt in range(1, ATTEMPTS + 1):
            # After a crash the suspects run one by one, so that only the guilty one is met by the next crash.
            guard = self._alone if attempt > 1 else contextlib.nullcontext()
            async with guard:
                while True:
                    try:
                        return await self._once(spec, on_progress, background)
                    except _Gone as gone:
                        self._never_twice()
                        if gone.blameless and not self._closed:
                            continue
                        break
            if self._closed:
                raise EngineUnavailable("The bridge is being stopped.")
            logger.warning("engine %s crashed (attempt %d of %d)", self.name, attempt, ATTEMPTS)
        raise EngineCrashed(
            f"Engine '{self.name}' ended {ATTEMPTS} times while it made this sound. Ask for something shorter, or for "
            "another engine; `sample-bridge doctor` checks the installation."
        )

    async def stream(self, spec: SampleSpec, passage: Passage, tail: bytes = b"") -> AsyncGenerator[Piece, None]:
        """Make one passage of a stream, piece by piece; see passages.render. Closing the iterator stops the work.

        A crash of the process makes it begin again as long as nothing was heard. Raises EngineError and its kin.
        """
        heard = False
        for _ in range(ATTEMPTS):
            pieces = self._played(spec, passage, tail)
            try:
                async for piece in pieces:
                    heard = True
                    yield piece
            except _Gone:
                self._never_twice()
                if heard or self._closed:
                    break
            else:
                return
            finally:
                await pieces.aclose()
        if self._closed:
            raise EngineUnavailable("The bridge is being stopped.")
        raise EngineCrashed(f"Engine '{self.name}' ended while it played. Start the stream again.")

    def _never_twice(self) -> None:
        """Raise EngineCrashed, code ``answer_lost``, where what the ended process had started may have been paid."""
        if self._info is not None and self._info.paid and not self._closed:
            raise EngineCrashed(
                f"Engine '{self.name}' ended while its provider made this sound, which may charge for it, so it is "
                "not asked again automatically. Ask again.",
                code=LOST,
            )

    async def _played(self, spec: SampleSpec, passage: Passage, tail: bytes) -> AsyncGenerator[Piece, None]:
        current = await self._ready()
        request_id = uuid.uuid4().hex[:12]
        pending = _Pending(asyncio.get_running_loop().create_future(), lambda _: None)
        pending.answer.add_done_callback(lambda _: pending.pieces.put_nowait(None))
        current.pending[request_id] = pending
        head = {"type": "submit", "id": request_id, "spec": spec.model_dump(mode="json"), "passage": passage.as_dict()}
        try:
            await self._send(current, head, tail)
            while (piece := await pending.pieces.get()) is not None:
                yield piece
            pending.answer.result()
        finally:
            if pending.answer.done():
                current.pending.pop(request_id, None)
            else:
                await asyncio.shield(self._beside_task(self._cancel(current, request_id, pending)))

    async def close(self) -> None:
        """End the process and wait for it."""
        self._closed = True
        while self._starting:
            if self._newborn and self._newborn.returncode is None:
                self._newborn.kill()
            await asyncio.wait([self._starting], timeout=0.1)
        if self._current:
            await self._end(self._current)
        if self._beside:
            # also processes that ended by themselves a moment ago, and have not been buried yet
            await asyncio.wait(self._beside)

    async def _once(self, spec: SampleSpec, on_progress: Callable[[float], None], background: bool) -> Made:
        current = await self._ready()
        request_id = uuid.uuid4().hex[:12]
        pending = _Pending(asyncio.get_running_loop().create_future(), on_progress)
        current.pending[request_id] = pending
        try:
            head = {"type": "submit", "id": request_id, "spec": spec.model_dump(mode="json")}
            await self._send(current, head | ({"background": True} if background else {}))
            made = await asyncio.shield(pending.answer)
            assert made is not None  # noqa: S101  only passages end without files
            return made  # noqa: TRY300
        except asyncio.CancelledError:
            # A task of its own: a caller that cancels twice must not leave the work running.
            await asyncio.shield(self._beside_task(self._cancel(current, request_id, pending)))
            raise
        finally:
            if pending.answer.done():
                current.pending.pop(request_id, None)

    async def _cancel(self, current: _Process, request_id: str, pending: _Pending) -> None:
        """Ask; kill when it does not answer. What else was running is run again by its own ``make``."""
        try:
            await self._stop(current, request_id, pending)
        finally:
            current.pending.pop(request_id, None)

    async def _stop(self, current: _Process, request_id: str, pending: _Pending) -> None:
        with contextlib.suppress(_Gone):
            await self._send(current, {"type": "cancel", "id": request_id})
        done, _ = await asyncio.wait([pending.answer], timeout=CANCEL_SECONDS)
        if not done:
            logger.warning("engine %s does not stop when asked: ending its process", self.name)
            current.blameless_end = True
            current.process.kill()
            await asyncio.wait([pending.answer])
        if not pending.answer.cancelled() and pending.answer.exception() is None:
            # It was finished in the very moment of being cancelled: no caller will adopt the files.
            made = pending.answer.result()
            if made is not None:
                await remove_files(_files(made))

    async def _send(self, current: _Process, head: dict[str, Any], body: bytes = b"") -> None:
        try:
            current.writer.write(Frame(head, body).encode())
            await current.writer.drain()
        except (ConnectionError, RuntimeError):
            raise _Gone(current.blameless_end) from None

    async def _ready(self) -> _Process:
        if self._current is None:
            if self._closed:
                raise EngineUnavailable("The bridge is being stopped.")
            if self._starting is None:
                # A task of its own: one waiting caller may be cancelled while others wait for it, too.
                self._starting = asyncio.create_task(self._start())
                # Its failure may have no listener left.
                self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
            return await asyncio.shield(self._starting)
        return self._current

    async def _start(self) -> _Process:
        try:
            self._current = await self._persistently()
        except EngineError as error:
            self.error = error
            raise
        else:
            self.error = None
            return self._current
        finally:
            self._starting = None

    async def _persistently(self) -> _Process:
        """Start a process, and again when it is killed before it is ready: no sound fails because of that."""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(_KilledAtStart):
                return await self._spawn()
            if self._closed:
                raise EngineUnavailable("The bridge is being stopped.")
            self.restarts += 1
            logger.warning("engine %s was killed while it started; starting it again", self.name)
        raise EngineUnavailable(
            f"Engine '{self.name}' was killed {ATTEMPTS} times while it started. Look into the system's log: it may "
            "have run out of memory.",
            engine=self.name,
        )

    async def _spawn(self) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "bridge.engines.hosting.host", self.name,
                "--socket", str(theirs.fileno()),
                "--parent", str(os.getpid()),
                "--incoming", str(self._incoming),
                "--rate", str(self._rate),
                "--options", json.dumps(self._options, default=str),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=self._environment,
            )  # fmt: skip
        self._newborn = process
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        broken = False
        try:
            frame = await self._first_answer(reader)
        except _framing.BrokenFrame as error:
            logger.warning("engine %s: %s", self.name, error)
            frame, broken = None, True
        except TimeoutError:
            process.kill()
            await process.wait()
            writer.close()
            raise EngineTimeout(
                f"Engine '{self.name}' was not ready after {self._start_seconds:.0f} s without news of its start. "
                "Try a smaller model."
            ) from None
        finally:
            self._newborn = self.note = None
        info = _described(frame)
        if info is None:
            writer.close()
            await _ended(process)
            if frame is None and not broken and (process.returncode or 0) < 0:
                raise _KilledAtStart
            head = frame.head if frame and frame.head["type"] == "unavailable" else {}
            raise EngineUnavailable(
                head.get("message", f"Engine '{self.name}' ended while starting. `sample-bridge doctor` may know why."),
                code=head.get("code"),
                engine=self.name,
            )
        current = _Process(process, writer, info)
        self._info = current.info
        self._beside_task(self._listen(current, reader))
        return current

    async def _first_answer(self, reader: asyncio.StreamReader) -> Frame | None:
        """Wait for ``described`` or ``unavailable``; each note of progress gives it ``start_seconds`` more."""
        while True:
            async with asyncio.timeout(self._start_seconds):
                while (frame := await _framing.read(reader)) and frame.head["type"] == "alive":
                    pass
            if frame is None or frame.head["type"] != "starting":
                return frame
            self.note = str(frame.head["message"])
            logger.info("engine %s: %s", self.name, self.note)

    async def _listen(self, current: _Process, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                frame = await asyncio.wait_for(_framing.read(reader), SILENCE_SECONDS)
                if frame is None:
                    break
                current.heard = time.monotonic()
                self._receive(current, frame)
        except TimeoutError:
            logger.warning("engine %s has been silent for %.0f s: ending its process", self.name, SILENCE_SECONDS)
        except _framing.BrokenFrame as error:
            logger.warning("engine %s: %s", self.name, error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            logger.warning("engine %s sent a message that lacks something: %r", self.name, error)
        finally:
            await self._bury(current)

    async def _bury(self, current: _Process) -> None:
        """End a process for good, and tell those who waited for it."""
        if self._current is current:
            self._current = None
        current.writer.close()
        await _ended(current.process)
        lost = [request_id for request_id, pending in current.pending.items() if not pending.answer.done()]
        # What a process left that ended while it wrote.
        left = functools.partial(_files_of, self._incoming, lost)
        await remove_files(left if lost else ())
        for pending in current.pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(_Gone(current.blameless_end))
                pending.answer.exception()  # retrieved, even if no caller waits for it any more
        if not self._closed:
            self.restarts += 1

    def _receive(self, current: _Process, frame: Frame) -> None:
        head = frame.head
        pending = current.pending.get(head.get("id", ""))
        if pending is None or pending.answer.done():
            if head["type"] == "done":
                self._beside_task(remove_files(_files(_made(head))))
            return
        match head["type"]:
            case "progress":
                pending.on_progress(float(head["progress"]))
            case "piece":
                pending.pieces.put_nowait(Piece(int(head["rate"]), int(head["channels"]), frame.body))
            case "played":
                pending.answer.set_result(None)
            case "done":
                pending.answer.set_result(_made(head))
            case "cancelled":
                pending.answer.cancel()
            case "failed":
                pending.answer.set_exception(BridgeError.named(head["error"], head["message"], head["code"]))
                if head["code"] == "engine_out_of_memory":
                    self.out_of_memory += 1
                    # A process that ran out of memory once keeps what it has: begin afresh, without blame.
                    current.blameless_end = True
                    current.process.kill()

    def _beside_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    async def _end(self, current: _Process) -> None:
        current.blameless_end = True
        current.writer.close()
        await _ended(current.process, CANCEL_SECONDS)


async def _ended(process: asyncio.subprocess.Process, seconds: float = EXIT_SECONDS) -> None:
    """Wait for the end of a process whose socket is closed; kill it when it takes longer.

    Killing it at once would be wrong: ``Popen.kill`` collects one that has just ended, and asyncio warns of a child
    that it does not know.
    """
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _described(frame: Frame | None) -> EngineInfo | None:
    if frame is None or frame.head["type"] != "described":
        return None
    try:
        return EngineInfo(**frame.head["info"])
    except (KeyError, TypeError):
        return None


def _files_of(incoming: Path, request_ids: Sequence[str]) -> list[Path]:
    return [path for request_id in request_ids for path in incoming.glob(f"*-{request_id}.*")]


def _files(made: Made) -> list[Path]:
    return [made.master, *made.deliveries.values()]


def _made(head: Mapping[str, Any]) -> Made:
    return Made(
        sample_id=head["sample_id"],
        master=Path(head["master"]),
        deliveries={extension: Path(path) for extension, path in head["deliveries"].items()},
        rate=head["rate"],
        channels=head["channels"],
        frames=head["frames"],
        measures=head["measures"],
        flags=tuple(head["flags"]),
        score=head["score"],
        decisions=tuple(head["decisions"]),
        facts=head["facts"],
    )

"""The child process an engine lives in: ``python -P -m bridge.engines.hosting.host NAME --socket FD ...``.

Threads cannot be stopped and one failed allocation must not silence everybody, so an engine has a process of its own.
It makes, finishes and encodes a sample, writes the files into the store's ``incoming/`` folder and answers with their
paths and facts. It ends with its parent: by the kernel's parent-death signal, and by end of file on the socket.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.system.lifeline import die_with_parent

if __name__ == "__main__":
    # Before all that takes a second to import: a server that is killed meanwhile leaves nothing behind.
    die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))

from bridge.audio.files import codecs
from bridge.audio.finishing.chains import RATE, Finished, best_of, finish, needed_seconds
from bridge.engines import registry
from bridge.engines.hosting.best_of import best_of_takes
from bridge.engines.hosting.framing import Frame, read_blocking
from bridge.engines.hosting.mending import mended
from bridge.engines.hosting.passages import Passage, heard_before, render
from bridge.engines.hosting.sources import WithSource, read_source
from bridge.errors import BadAudio, BridgeError, DiskFailed, EngineError, EngineUnavailable, JobCancelled, StorageFull
from bridge.plugins.clip import Clip
from bridge.plugins.engine import ConditionedEngine, Engine, Report, heeding, in_background, note_of
from bridge.system import walls
from prompts import SampleSpec

logger = logging.getLogger("bridge.engines.hosting.host")

ALIVE_SECONDS = 1.0
PAUSE_SECONDS = 0.5
"""Longest pause, at a time, that work makes for a passage which silence waits for."""
PROGRESS_SECONDS = 0.2
"""At most five progress messages per second and request."""
ATTEMPTS = 3
"""A loop that no stretching brings to its tempo is made this often, each time with another seed."""
_WALLED_IN = frozenset({"procedural", "tone"})
"""Engines that need neither network nor other programs once they are built."""
_NICENESS = 5
"""Making a sound yields the processor to the server, the browser and the audio card."""


@dataclass
class _Request:
    id: str
    spec: SampleSpec
    passage: Passage | None = None
    tail: bytes = b""
    background: bool = False
    work: Future[None] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    reported: float = 0.0

    @property
    def urgent(self) -> bool:
        """Other work pauses for it."""
        return self.passage is not None and self.passage.urgent


class Line:
    """The child's end of the socket; several threads send, one at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send one frame."""
        with self._sending:
            self._connection.sendall(Frame(head, body).encode())

    def receive(self) -> Frame | None:
        """Wait for the parent's next frame; None at end of file."""
        return read_blocking(self._connection)

    def _keep_alive(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                time.sleep(ALIVE_SECONDS)
                self.send({"type": "alive"})


class StartingNotes(logging.Handler):
    """What an engine logs while it is built (a download, say) is told to the parent, who shows it."""

    def __init__(self, line: Line) -> None:
        super().__init__(logging.INFO)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line of the log."""
        if record.name.startswith("bridge."):
            self._line.send({"type": "starting", "message": record.getMessage()})


class Host:
    """Serves one engine over one socket, until end of file."""

    def __init__(self, engine: Engine, line: Line, incoming: Path, rate: int = RATE) -> None:
        self._engine = engine
        self._rate = rate
        self._line = line
        self._incoming = incoming
        self._requests: dict[str, _Request] = {}
        self._pool = ThreadPoolExecutor(engine.info.concurrency, thread_name_prefix="make")
        # A quick engine that can do several things at a time begins a stream at once, whatever else it does.
        several = engine.info.instant and engine.info.concurrency > 1
        self._first = ThreadPoolExecutor(1, thread_name_prefix="first") if several else None
        self._urgent: set[str] = set()
        self._calm = threading.Event()
        self._calm.set()
        self._counting = threading.Lock()

    def serve(self) -> None:
        """Answer frames until the parent closes the socket."""
        self._line.send({"type": "described", "info": self._engine.info.as_dict()})
        while (frame := self._line.receive()) is not None:
            match frame.head["type"]:
                case "submit":
                    self._submit(frame.head, frame.body)
                case "cancel":
                    self._cancel(frame.head["id"])

    def _submit(self, head: dict[str, Any], body: bytes) -> None:
        spec = SampleSpec.model_validate(head["spec"])
        passage = Passage(**head["passage"]) if head.get("passage") else None
        request = _Request(head["id"], spec, passage=passage, tail=body, background=bool(head.get("background")))
        self._requests[request.id] = request
        if request.urgent and self._first is not None:
            self._hurry(request.id)
            request.work = self._first.submit(self._answer, request)
            request.work.add_done_callback(lambda _: self._relax(request.id))
        else:
            request.work = self._pool.submit(self._answer, request)

    def _cancel(self, request_id: str) -> None:
        request = self._requests.get(request_id)
        if request is None:
            return
        request.cancelled.set()
        # What waits behind other work is taken out of the line and answered now.
        if request.work is not None and request.work.cancel():
            self._requests.pop(request_id, None)
            self._line.send({"type": "cancelled", "id": request_id})

    def _hurry(self, request_id: str) -> None:
        with self._counting:
            self._urgent.add(request_id)
            self._calm.clear()

    def _relax(self, request_id: str) -> None:
        with self._counting:
            self._urgent.discard(request_id)
            if not self._urgent:
                self._calm.set()

    def _answer(self, request: _Request) -> None:
        answer: dict[str, Any]
        in_background.set(request.background)
        try:
            if request.passage is not None:
                self._play(request, request.passage)
                answer = {"type": "played", "id": request.id}
            else:
                answer = {"type": "done", "id": request.id, **self._make(request)}
        except JobCancelled:
            answer = {"type": "cancelled", "id": request.id}
        except BridgeError as error:
            answer = _failure(request.id, type(error).__name__, error.code, error.message)
        except MemoryError:
            answer = _failure(request.id, "EngineCrashed", "engine_out_of_memory", _OUT_OF_MEMORY)
        except BaseException as error:
            # BaseException: a library that calls sys.exit() must not leave its request without an answer.
            # torch is not imported here: its out-of-memory error is known by its name
            if type(error).__name__ == "OutOfMemoryError":
                answer = _failure(request.id, "EngineCrashed", "engine_out_of_memory", _OUT_OF_MEMORY)
            else:
                logger.exception("engine %s failed", self._engine.info.name)
                message = f"Engine '{self._engine.info.name}' failed: {type(error).__name__}: {str(error)[:500]}."
                answer = _failure(request.id, "EngineError", "engine_failed", message)
        self._requests.pop(request.id, None)
        self._line.send(answer)

    def _play(self, request: _Request, passage: Passage) -> None:
        report = self._reporter(request)
        report(0.0)
        engine, spec = self._engine_for(request.spec), request.spec
        heard = heard_before(passage, request.tail)
        if heard is not None and isinstance(self._engine, ConditionedEngine):
            engine = WithSource(self._engine, heard)
            spec = spec.model_copy(update={"source_as": "continuation"})
        for rate, pcm in render(engine, spec, passage, request.tail[passage.context :], report):
            report(0.0)
            head = {"type": "piece", "id": request.id, "rate": rate, "channels": pcm.shape[1]}
            self._line.send(head, pcm.tobytes())
            self._relax(request.id)  # the silence is over

    def _make(self, request: _Request) -> dict[str, Any]:
        finished, seed = self._fitting(request)
        clip = finished.clip
        pcm = codecs.to_pcm(clip)
        sample_id = codecs.sample_id(pcm, clip.rate)
        stem = f"{sample_id}-{request.id}"
        master, delivery = self._incoming / f"{stem}.master.wav", self._incoming / f"{stem}.wav"
        try:
            codecs.write_master(master, pcm, clip.rate)
            delivery.write_bytes(codecs.encode(pcm, clip.rate, "wav", sample_id))
        except BaseException as error:
            master.unlink(missing_ok=True)
            delivery.unlink(missing_ok=True)
            if isinstance(error, OSError | RuntimeError):  # libsndfile's errors are RuntimeErrors without a number
                raise self._disk_trouble(error, len(pcm.tobytes())) from error
            raise
        return {
            "sample_id": sample_id,
            "master": str(master),
            "deliveries": {"wav": str(delivery)},
            "rate": clip.rate,
            "channels": clip.channels,
            "frames": clip.frames,
            "measures": finished.quality.measures,
            "flags": finished.quality.flags,
            "score": finished.quality.score,
            "decisions": finished.decisions,
            "facts": {**finished.facts, "seed": seed},
        }

    def _disk_trouble(self, error: Exception, size: int) -> BridgeError:
        """Say why a finished sample could not be written, ``size`` bytes of it."""
        from bridge.system.disk import as_ours  # with the store, which an engine needs for nothing else

        folder = self._incoming.parent
        if isinstance(error, OSError) and (found := as_ours(error, folder)):
            return found
        if shutil.disk_usage(folder).free < 2 * size:
            return StorageFull(
                f"The disk of the data folder {folder} is full. Free some space or delete sounds, then try again."
            )
        return DiskFailed(f"The sound was made but could not be written to {folder} ({error}). Check the disk.")

    def _fitting(self, request: _Request) -> tuple[Finished, int]:
        """Make a take that fits, and say with which seed: a loop too far off its tempo is made again, at most twice."""
        spec, report = request.spec, self._reporter(request)
        # Asked for before the first piece: a request cancelled while it waited is never started.
        report(0.0)
        engine = self._engine_for(spec)
        if engine.info.takes and spec.num_beams > 1:
            return best_of_takes(spec, lambda each, heard: self._take(engine, each, heard), report)
        seeds = [spec.seed_of_take(attempt) for attempt in range(ATTEMPTS)]
        takes: list[Finished] = []
        for seed in seeds:
            takes.append(self._take(engine, spec.model_copy(update={"seed": seed}), report))
            if takes[-1].fits:
                break
        best = best_of(takes)
        if len(takes) > 1:
            best.decisions.insert(0, f"made {len(takes)} times, since its tempo was too far off")
        return best, seeds[takes.index(best)]

    def _take(self, engine: Engine, spec: SampleSpec, report: Report) -> Finished:
        info = engine.info
        pieces: list[Clip] = []
        seconds = needed_seconds(spec, exact_loops=info.exact_loops, longest=info.max_seconds)
        with heeding() as remarks:
            for piece in engine.stream(spec, seconds, report):
                report(0.0)
                pieces.append(piece)
        note = note_of(self._engine, spec)
        finished = finish(
            self._joined(pieces),
            spec,
            rate=self._rate,
            exact_loops=info.exact_loops,
            note=note,
            between=lambda: report(1.0),
        )
        finished = mended(self._engine, finished, spec, report)
        finished.decisions[:0] = remarks.decisions
        finished.facts.update(remarks.facts)
        return finished

    def _engine_for(self, spec: SampleSpec) -> Engine:
        """The engine, with the audio that the sound is made from in its hands where there is one."""
        if spec.source is None:
            return self._engine
        if not isinstance(self._engine, ConditionedEngine):
            raise EngineError(f"Engine '{self._engine.info.name}' takes only words: leave `source` out.")
        return WithSource(self._engine, read_source(self._incoming.parent, spec.source))

    def _joined(self, pieces: list[Clip]) -> Clip:
        try:
            return Clip.join(pieces) if pieces else Clip.of([[]], self._engine.info.rate)
        except ValueError as error:
            raise BadAudio(f"What engine '{self._engine.info.name}' made does not fit together: {error}.") from error

    def _reporter(self, request: _Request) -> Report:
        def report(fraction: float) -> None:
            if not request.urgent:
                self._calm.wait(PAUSE_SECONDS)
            if request.cancelled.is_set():
                raise JobCancelled("cancelled")
            now = time.monotonic()
            if now - request.reported >= PROGRESS_SECONDS:
                request.reported = now
                self._line.send({"type": "progress", "id": request.id, "progress": min(max(fraction, 0.0), 1.0)})

        return report


_OUT_OF_MEMORY = "The engine ran out of memory. Ask for something shorter, or choose a smaller model."


def _failure(request_id: str, kind: str, code: str, message: str) -> dict[str, Any]:
    return {"type": "failed", "id": request_id, "error": kind, "code": code, "message": message}


def main(arguments: list[str] | None = None) -> int:
    """Build the engine, describe it, serve."""
    parser = argparse.ArgumentParser(prog="bridge.engines.hosting.host")
    parser.add_argument("name")
    parser.add_argument("--socket", type=int, required=True, help="inherited file descriptor of a stream socket")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    parser.add_argument("--incoming", type=Path, required=True)
    parser.add_argument("--rate", type=int, default=RATE, help="Hz of finished samples")
    parser.add_argument("--options", default="{}", help="keyword arguments of the engine, as JSON")
    options = parser.parse_args(arguments)
    die_with_parent(options.parent)
    os.nice(_NICENESS)
    # The parent decides when we end; Ctrl-C in a terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    line = Line(socket.socket(fileno=options.socket))
    keywords = json.loads(options.options)
    keywords["data_dir"] = Path(keywords["data_dir"]) if keywords.get("data_dir") else None
    notes = StartingNotes(line)
    logging.getLogger("bridge").setLevel(logging.INFO)
    logging.getLogger("bridge").addHandler(notes)
    try:
        engine = registry.build(options.name, **keywords)
    except Exception as error:
        if not isinstance(error, BridgeError):
            logger.exception("engine %s cannot be built", options.name)
            error = EngineUnavailable(f"Engine '{options.name}' cannot start: {error}.")
        line.send({"type": "unavailable", "code": error.code, "message": error.message})
        return 3
    finally:
        logging.getLogger("bridge").removeHandler(notes)
    # Sounds are their user's alone; weights that were loaded while it was built may be shared.
    os.umask(0o077)
    if options.name in _WALLED_IN:
        walls.close_in()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Host(engine, line, options.incoming, options.rate).serve()
    # Work that is still running has no caller any more.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

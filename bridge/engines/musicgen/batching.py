"""Continuous batching: requests are admitted and removed at any step, and share each step's reading of the weights."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder import Codes, Decoder
from bridge.engines.musicgen.decoder.drawing import DrawingDecoder, Flag, PendingCodes, StepsDecoder
from bridge.engines.musicgen.pattern import DelayPattern
from bridge.engines.musicgen.request import Conditioning, Request
from bridge.engines.musicgen.sampling import Sampling
from bridge.errors import EngineError

__all__ = ["Batch", "CodeStream", "Conditioning", "Sampling"]

log = logging.getLogger(__name__)

PREFILL_CHUNK: Final = 16
"""Positions of a prefix or prompt that are prefilled between two steps of the other requests. The number is the same
when a request is alone: the rounding of a matrix product depends on its size, and the same seed must give the same
codes."""
_LEAST_ROWS: Final = 2
_NOTIFY_STEPS: Final = 4  # a reader is notified after this many steps at the latest
_HANDOVER_SECONDS: Final = 0.002  # seconds that a notified reader has to ask for the cores; it takes a tenth of that
_POLL_SECONDS: Final = 0.2  # how often the reader of a waiting request checks for a cancel


class Batch:
    """One decoder for all requests. ``generate`` may be called from any thread; the batch's own thread runs the steps.

    Requests are admitted in the order in which they came; each takes two rows with guidance, one without. A background
    request is admitted while there is no player's request, pauses while one runs, and is evicted when its rows are
    needed. Once it is admitted again, its steps are repeated up to where it was, and it continues with the same codes.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        channels: int | None = None,
        core_lock: CoreLock | None = None,
    ) -> None:
        """``channels``: of the audio; None = 2 for eight codebooks, as in the stereo models, else 1.

        ``core_lock``: the lock of everything that computes on the same cores.
        """
        shape = decoder.shape
        self._decoder = decoder
        self._core_lock = core_lock or CoreLock()
        self._pattern = DelayPattern(
            codebooks=shape.codebooks,
            channels=channels or (2 if shape.codebooks == 8 else 1),
            nothing=shape.vocabulary,
        )
        self._free = list(range(decoder.rows))
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []  # in the order in which they were admitted
        self._steps_decoder = decoder if isinstance(decoder, StepsDecoder) else None
        self._drawing_decoder = decoder if isinstance(decoder, DrawingDecoder) else None
        self._in_flight: _InFlight | None = None
        self._closed = False
        self._interrupt = np.zeros(1, dtype=np.int32)  # a request came or left: run_steps() has to return
        self._lock = threading.Lock()
        self._work_to_do = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._work, name="musicgen-decoder", daemon=True)
        self._thread.start()

    @property
    def pattern(self) -> DelayPattern:
        """How codes lie in steps."""
        return self._pattern

    @property
    def busy(self) -> int:
        """How many requests are running or waiting."""
        with self._lock:
            return len(self._running) + len(self._waiting)

    def generate(
        self,
        conditioning: Conditioning,
        sampling: Sampling,
        frames: int,
        *,
        prompt: Codes | None = None,
        background: bool = False,
        awaited: int = 0,
        report: Callable[[float], None] = lambda _: None,
    ) -> CodeStream:
        """Ask for ``frames`` frames of codes, and return them as they come, (n, K) with n >= 1 at a time.

        ``prompt``: frames (P, K) to continue; they are not returned again. ``awaited``: when this many frames are
        there, the stream's reader is the next to get the cores. ``report`` gets the progress, 0..1, in the thread that
        reads the stream, every fourth step at the latest; when it raises, or when the stream is closed, the request
        leaves the batch at the next step. Codes are made whether they are read or not, and kept until they are read (a
        few bytes each).

        Raises EngineError when the frames need more positions than the decoder has. The stream raises it when the
        decoder fails on this request.
        """
        if frames < 1:
            raise EngineError("a sound of no length cannot be made: ask for a longer duration")
        request = Request(
            self._pattern,
            conditioning,
            sampling,
            frames,
            prompt,
            background=background,
            awaited=awaited,
            lock=self._lock,
        )
        if request.positions > self._decoder.max_steps:
            raise EngineError(
                f"the model holds {self._decoder.max_steps} steps at once and this sound takes {request.positions}: "
                "ask for a shorter duration"
            )
        if request.width > self._decoder.rows:
            raise EngineError("the model was loaded with a single row: set guidance to 1")
        with self._lock:
            if self._closed:
                raise EngineError("the model is being unloaded: ask again")
            self._waiting.append(request)
            self._interrupt[0] = 1
            self._work_to_do.notify()
        return CodeStream(request, self._lock, self._interrupt, report)

    def close(self) -> None:
        """Fail all requests, and wait until the thread has ended. The decoder stays open: its owner closes it."""
        with self._lock:
            self._closed = True
            self._interrupt[0] = 1
            self._work_to_do.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            if self._waiting or any(request.over for request in self._running):
                self._collect()  # rows may get another request
            with self._lock:
                while not self._closed and not (self._running or self._waiting):
                    self._work_to_do.wait()
                self._interrupt[0] = 0
                self._remove_finished()
                if self._closed:
                    self._in_flight = None
                    for request in (*self._running, *self._waiting):
                        request.fail(EngineError("the model was unloaded in the middle: ask again"))
                        request.changed.notify_all()
                    return
                self._admit_waiting()
                player = any(not request.background for request in self._running)
                active = [request for request in self._running if not (player and request.background)]
            self._advance(active)

    def _advance(self, active: list[Request]) -> None:
        """Prefill one chunk of one admitted request, and run a step of all requests that are prefilled."""
        prefilling = next((request for request in active if request.prefilling), None)
        if prefilling is not None:
            try:
                with self._core_lock:
                    prefilling.prefill(self._decoder, PREFILL_CHUNK)
            except Exception as error:  # whatever it is, the other requests continue
                self._fail([prefilling], error)
        stepping = [request for request in active if not (request.prefilling or request.over or request.all_started)]
        if self._steps_decoder is not None:
            self._run_steps(self._steps_decoder, stepping, 1 if prefilling is not None else _NOTIFY_STEPS)
        elif self._drawing_decoder is not None and all(
            request.sampling.repetition_penalty == 1.0 for request in stepping
        ):
            self._step_ahead(self._drawing_decoder, stepping)
        else:
            self._collect()
            self._step([request for request in stepping if not request.over])

    def _step(self, stepping: list[Request]) -> None:
        """Run a step, and draw from its scores here."""
        if not stepping:
            return
        rows = [row for request in stepping for row in request.rows]
        codes = np.stack([request.column() for request in stepping for _ in request.rows])
        try:
            with self._core_lock:
                scores = self._decoder.step(rows, codes)
        except Exception as error:  # whatever it is, the batch continues
            self._fail(stepping, error)
            return
        first = 0
        for request in stepping:
            try:
                request.draw(scores[first : first + request.width])
            except ValueError as error:
                self._fail([request], error)
            first += request.width
        self._notify(stepping)

    def _run_steps(self, decoder: StepsDecoder, stepping: list[Request], most: int) -> None:
        """Have up to ``most`` steps run and drawn, but none beyond a step that a reader waits for."""
        if not stepping:
            return
        awaited = [request for request in stepping if request.steps_to_awaited > 0]
        steps = min([most, *(request.steps_to_awaited for request in awaited)])
        try:
            with self._core_lock:
                decoder.run_steps(
                    [request.columns for request in stepping], steps, (self._interrupt, self._core_lock.wanted)
                )
        except Exception as error:  # whatever it is, the batch continues
            self._fail(stepping, error)
            return
        for request in stepping:
            try:
                request.note_steps()
            except ValueError as error:
                self._fail([request], error)
        with self._lock:
            for request in stepping:
                request.changed.notify_all()
        if any(request.steps_to_awaited <= 0 for request in awaited):
            self._core_lock.give_way(_HANDOVER_SECONDS)

    def _step_ahead(self, decoder: DrawingDecoder, stepping: list[Request]) -> None:
        """Start a step on the device, which also draws, and meanwhile collect the codes of the step before."""
        in_flight = None
        if stepping:
            try:
                drawn = decoder.draw([request.step_input() for request in stepping])
            except Exception as error:  # whatever it is, the batch continues
                self._collect()
                self._fail(stepping, error)
                return
            in_flight = _InFlight(stepping, [request.start_step() for request in stepping], drawn)
        self._collect()
        self._in_flight = in_flight

    def _collect(self) -> None:
        """Wait for the codes of the step in flight."""
        done, self._in_flight = self._in_flight, None
        if done is None:
            return
        try:
            drawn = done.drawn()
        except Exception as error:  # a device reports its errors late, when no retry helps
            self._fail(done.requests, _sentence(error))
            return
        for request, column, codes in zip(done.requests, done.columns, drawn, strict=True):
            try:
                request.finish_step(column, codes)
            except ValueError as error:
                self._fail([request], error)
        self._notify(done.requests)

    def _notify(self, requests: list[Request]) -> None:
        # A thread that wakes up takes a core from the next step. So with several requests each is notified after every
        # second, third or fourth step only.
        pause = min(len(requests), _NOTIFY_STEPS)
        with self._lock:
            for request in requests:
                if request.over or request.steps_made % pause == 0:
                    request.changed.notify_all()

    def _fail(self, requests: list[Request], error: Exception) -> None:
        """Fail requests. When memory was full and several are running, only move the last one back to waiting."""
        with self._lock:
            if isinstance(error, MemoryError) and self._shrink():
                return
            log.error("the decoder failed on %d requests", len(requests), exc_info=error)
            for request in requests:
                request.fail(_sentence(error))
                request.changed.notify_all()

    def _shrink(self) -> bool:
        """Use fewer rows from now on: those of the request that was admitted last are not used again.

        Returns False when too few rows for a request with guidance would be left.
        """
        rows = sum(request.width for request in self._running[:-1])
        if rows < _LEAST_ROWS:
            return False
        last = self._running.pop()
        last.release_rows()
        self._free.clear()
        self._waiting.appendleft(last)
        log.warning("the memory is full: from now on %d rows at once; a smaller model would take more", rows)
        return True

    def _remove_finished(self) -> None:
        """Remove the requests that are finished or cancelled, and free their rows."""
        for request in [request for request in self._running if request.over]:
            self._running.remove(request)
            self._free += request.release_rows()
        for request in [request for request in self._waiting if request.over]:
            self._waiting.remove(request)

    def _admit_waiting(self) -> None:
        """Give rows to waiting requests, players' first."""
        for request in [request for request in self._waiting if not request.background]:
            while request.width > len(self._free):
                weakest = next((other for other in reversed(self._running) if other.background), None)
                if weakest is None:
                    return
                self._evict(weakest)
            self._admit(request)
        if any(not request.background for request in self._running):
            return
        for request in list(self._waiting):
            if request.width > len(self._free):
                return
            self._admit(request)

    def _admit(self, request: Request) -> None:
        self._waiting.remove(request)
        self._free.sort()  # the lowest rows: a decoder with static shapes steps all rows up to the highest one
        request.admit(self._free[: request.width])
        del self._free[: request.width]
        self._running.append(request)

    def _evict(self, request: Request) -> None:
        """Take the rows from a running request, which then waits in front of all others."""
        self._running.remove(request)
        self._free += request.release_rows()
        self._waiting.appendleft(request)


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A step that runs on a device."""

    requests: list[Request]
    columns: list[int]
    """The column that it draws for each request."""
    drawn: PendingCodes


class CodeStream(Iterator[Codes]):
    """The codes of one request, as they come."""

    def __init__(
        self, request: Request, lock: threading.Lock, interrupt: Flag, report: Callable[[float], None]
    ) -> None:
        """``lock``, ``interrupt``: the batch's."""
        self._request = request
        self._lock = lock
        self._interrupt = interrupt
        self._report = report
        self._read = 0
        self._reported = -1.0

    def __next__(self) -> Codes:
        """Wait for the next frames, (n, K). Raises EngineError, or what ``report`` raises."""
        request = self._request
        while True:
            with self._lock:
                if request.made <= self._read and request.progress <= self._reported and not request.over:
                    request.changed.wait(_POLL_SECONDS)
                made, progress, over, failure = request.made, request.progress, request.over, request.failure
            if failure is not None:
                raise failure
            if over and made <= self._read:
                raise StopIteration
            try:
                self._report(progress)
            except BaseException:
                self.close()
                raise
            self._reported = progress
            if made > self._read:
                first, self._read = self._read, made
                return request.frames(first, made)

    def close(self) -> None:
        """Leave the batch at the next step. May be called again."""
        with self._lock:
            self._request.over = True
            self._interrupt[0] = 1
            self._request.changed.notify_all()

    def __del__(self) -> None:
        self._request.over = True  # without the lock: the thread that collects us may hold it
        self._interrupt[0] = 1


def _sentence(error: Exception) -> EngineError:
    """Say what happened, for the player."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, ValueError):
        return EngineError("MusicGen's numbers overflowed and gave no sound: lower guidance, or use the CPU")
    if isinstance(error, MemoryError):
        return EngineError(
            "the memory is full: ask for a shorter sound, close what else uses it, or choose a smaller model",
            code="engine_out_of_memory",
        )
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return EngineError(f"MusicGen could not make this sound ({first[:200]})")

"""Continuous batching: requests join and leave a running decoder at any step, and share its reading of the weights."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.engines.musicgen.decoder import Codes, Decoder
from bridge.engines.musicgen.decoder._drawing import DrawingDecoder, Drawn, Flag, PlayingDecoder
from bridge.engines.musicgen.pattern import DelayPattern
from bridge.engines.musicgen.request import Conditioning, Request
from bridge.engines.musicgen.sampling import Sampling
from bridge.engines.musicgen.turns import Turns
from bridge.errors import EngineError

__all__ = ["Batch", "Conditioning", "Sampling", "Stream"]

log = logging.getLogger(__name__)

PIECE: Final = 16
"""Positions of a prefix or prompt that are taken in between two steps of the others. Always as many, alone or not:
what a product of matrices rounds depends on its size, and the same seed must give the same codes."""
_LEAST_ROWS: Final = 2
_MOST_UNTOLD: Final = 4  # steps that nobody is told of
_HANDING_OVER: Final = 0.002  # seconds that whoever was told has for coming; it takes a tenth of that
_LISTEN_SECONDS: Final = 0.2  # how often a request that only waits asks whether it is still wanted


class Batch:
    """One decoder for all requests. ``generate`` may be called from any thread; one of its own steps the decoder.

    Requests take rows in the order in which they came: two with guidance, one without. What is asked for in the
    background takes rows that nobody waits for, pauses while a player's request is there, and loses its rows when
    those are needed: then it is made again up to where it was, and goes on from there with the same codes.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        channels: int | None = None,
        turns: Turns | None = None,
    ) -> None:
        """``channels``: of the audio; None = 2 for eight codebooks, as in the stereo models, else 1.

        ``turns``: those of all that computes on the same cores.
        """
        shape = decoder.shape
        self._decoder = decoder
        self._turns = turns or Turns()
        self._pattern = DelayPattern(
            codebooks=shape.codebooks,
            channels=channels or (2 if shape.codebooks == 8 else 1),
            nothing=shape.vocabulary,
        )
        self._free = list(range(decoder.rows))
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []  # in the order in which they were seated
        self._playing = decoder if isinstance(decoder, PlayingDecoder) else None
        self._drawing = decoder if isinstance(decoder, DrawingDecoder) else None
        self._under_way: _UnderWay | None = None
        self._closed = False
        self._called = np.zeros(1, dtype=np.int32)  # somebody came or left: a decoder that plays is to come back
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
    ) -> Stream:
        """Ask for ``frames`` frames of codes, and return them as they come, (n, K) with n >= 1 at a time.

        ``prompt``: frames (P, K) to go on from; they are not returned again. ``awaited``: when so many frames are
        there, the stream's reader has the next turn on the cores. ``report`` hears the progress, 0..1, in the thread
        that reads the stream, every fourth step at the latest; when it raises, or when the stream is closed, the
        request leaves the batch at the next step. Codes are made whether they are read or not, and kept (a few bytes
        each) until they are.

        Raises EngineError when there are more frames than the decoder has positions; later, out of the stream, when
        the decoder failed on it.
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
            self._called[0] = 1
            self._work_to_do.notify()
        return Stream(request, self._lock, self._called, report)

    def close(self) -> None:
        """Give up all requests, and wait until the thread has ended. The decoder is left to its owner."""
        with self._lock:
            self._closed = True
            self._called[0] = 1
            self._work_to_do.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            if self._waiting or any(request.over for request in self._running):
                self._collect()  # rows may change hands
            with self._lock:
                while not self._closed and not (self._running or self._waiting):
                    self._work_to_do.wait()
                self._called[0] = 0
                self._dismiss()
                if self._closed:
                    self._under_way = None
                    for request in (*self._running, *self._waiting):
                        request.fail(EngineError("the model was unloaded in the middle: ask again"))
                        request.changed.notify_all()
                    return
                self._admit()
                player = any(not request.background for request in self._running)
                turn = [request for request in self._running if not (player and request.background)]
            self._advance(turn)

    def _advance(self, turn: list[Request]) -> None:
        """Take one piece of one request that joins, and one step of all that have joined."""
        joining = next((request for request in turn if request.joining), None)
        if joining is not None:
            try:
                with self._turns:
                    joining.join(self._decoder, PIECE)
            except Exception as error:  # whatever it was, the others go on
                self._fail([joining], error)
        stepping = [request for request in turn if not (request.joining or request.over or request.asked)]
        if self._playing is not None:
            self._play(self._playing, stepping, 1 if joining is not None else _MOST_UNTOLD)
        elif self._drawing is not None and all(request.sampling.repetition_penalty == 1.0 for request in stepping):
            self._step_ahead(self._drawing, stepping)
        else:
            self._collect()
            self._step([request for request in stepping if not request.over])

    def _step(self, stepping: list[Request]) -> None:
        """Make a step, and draw from its scores here."""
        if not stepping:
            return
        rows = [row for request in stepping for row in request.rows]
        codes = np.stack([request.column() for request in stepping for _ in request.rows])
        try:
            with self._turns:
                scores = self._decoder.step(rows, codes)
        except Exception as error:  # whatever it was, the batch goes on
            self._fail(stepping, error)
            return
        first = 0
        for request in stepping:
            try:
                request.draw(scores[first : first + request.width])
            except ValueError as error:
                self._fail([request], error)
            first += request.width
        self._tell(stepping)

    def _play(self, decoder: PlayingDecoder, stepping: list[Request], most: int) -> None:
        """Have up to ``most`` steps made and drawn, none beyond one that somebody waits for."""
        if not stepping:
            return
        awaited = [request for request in stepping if request.steps_to_awaited > 0]
        steps = min([most, *(request.steps_to_awaited for request in awaited)])
        try:
            with self._turns:
                decoder.play([request.columns for request in stepping], steps, (self._called, self._turns.wanted))
        except Exception as error:  # whatever it was, the batch goes on
            self._fail(stepping, error)
            return
        for request in stepping:
            try:
                request.played()
            except ValueError as error:
                self._fail([request], error)
        with self._lock:
            for request in stepping:
                request.changed.notify_all()
        if any(request.steps_to_awaited <= 0 for request in awaited):
            self._turns.give_way(_HANDING_OVER)

    def _step_ahead(self, decoder: DrawingDecoder, stepping: list[Request]) -> None:
        """Have a step made and drawn on the device, and meanwhile take what the one before has drawn."""
        under_way = None
        if stepping:
            try:
                drawn = decoder.draw([request.turn() for request in stepping])
            except Exception as error:  # whatever it was, the batch goes on
                self._collect()
                self._fail(stepping, error)
                return
            under_way = _UnderWay(stepping, [request.ask() for request in stepping], drawn)
        self._collect()
        self._under_way = under_way

    def _collect(self) -> None:
        """Wait for the codes of the step that is under way."""
        done, self._under_way = self._under_way, None
        if done is None:
            return
        try:
            drawn = done.drawn()
        except Exception as error:  # what goes wrong on a device is heard of late, and cannot be mended
            self._fail(done.requests, _sentence(error))
            return
        for request, column, codes in zip(done.requests, done.columns, drawn, strict=True):
            try:
                request.take(column, codes)
            except ValueError as error:
                self._fail([request], error)
        self._tell(done.requests)

    def _tell(self, requests: list[Request]) -> None:
        # who is woken takes a core from the next step: one of several is told every so many steps only
        pause = min(len(requests), _MOST_UNTOLD)
        with self._lock:
            for request in requests:
                if request.over or request.steps_made % pause == 0:
                    request.changed.notify_all()

    def _fail(self, requests: list[Request], error: Exception) -> None:
        """End requests; when the memory was full and there are several, only let the last wait for better times."""
        with self._lock:
            if isinstance(error, MemoryError) and self._shrink():
                return
            log.error("the decoder failed on %d requests", len(requests), exc_info=error)
            for request in requests:
                request.fail(_sentence(error))
                request.changed.notify_all()

    def _shrink(self) -> bool:
        """Make do with fewer rows from now on: those of the request that came last are not given out again.

        False when a request with guidance would find no place any more.
        """
        rows = sum(request.width for request in self._running[:-1])
        if rows < _LEAST_ROWS:
            return False
        last = self._running.pop()
        last.rise()
        self._free.clear()
        self._waiting.appendleft(last)
        log.warning("the memory is full: from now on %d rows at once; a smaller model would take more", rows)
        return True

    def _dismiss(self) -> None:
        """Take out what is over."""
        for request in [request for request in self._running if request.over]:
            self._running.remove(request)
            self._release(request)
        for request in [request for request in self._waiting if request.over]:
            self._waiting.remove(request)

    def _admit(self) -> None:
        """Give rows to those who wait, players first."""
        for request in [request for request in self._waiting if not request.background]:
            while request.width > len(self._free):
                weakest = next((other for other in reversed(self._running) if other.background), None)
                if weakest is None:
                    return
                self._running.remove(weakest)
                self._release(weakest)
                self._waiting.appendleft(weakest)
            self._seat(request)
        if any(not request.background for request in self._running):
            return
        for request in list(self._waiting):
            if request.width > len(self._free):
                return
            self._seat(request)

    def _seat(self, request: Request) -> None:
        self._waiting.remove(request)
        self._free.sort()  # the lowest: a decoder with static shapes steps as many rows as the highest asks for
        request.sit(self._free[: request.width])
        del self._free[: request.width]
        self._running.append(request)

    def _release(self, request: Request) -> None:
        self._free += request.rise()


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A step that a device is making."""

    requests: list[Request]
    columns: list[int]
    """Which column it draws for each."""
    drawn: Drawn


class Stream(Iterator[Codes]):
    """The codes of one request, as they come."""

    def __init__(self, request: Request, lock: threading.Lock, called: Flag, report: Callable[[float], None]) -> None:
        """``lock``, ``called``: the batch's."""
        self._request = request
        self._lock = lock
        self._called = called
        self._report = report
        self._read = 0
        self._told = -1.0

    def __next__(self) -> Codes:
        """Wait for the next frames, (n, K). Raises EngineError, or what ``report`` raises."""
        request = self._request
        while True:
            with self._lock:
                if request.made <= self._read and request.progress <= self._told and not request.over:
                    request.changed.wait(_LISTEN_SECONDS)
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
            self._told = progress
            if made > self._read:
                first, self._read = self._read, made
                return request.frames(first, made)

    def close(self) -> None:
        """Leave the batch at the next step. May be called again."""
        with self._lock:
            self._request.over = True
            self._called[0] = 1
            self._request.changed.notify_all()

    def __del__(self) -> None:
        self._request.over = True  # without the lock: the thread that collects us may hold it
        self._called[0] = 1


def _sentence(error: Exception) -> EngineError:
    """Say what happened, for the player."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, ValueError):
        return EngineError("MusicGen's numbers left their range and became no sound: lower guidance, or use the CPU")
    if isinstance(error, MemoryError):
        return EngineError(
            "the memory is full: ask for a shorter sound, close what else uses it, or choose a smaller model",
            code="engine_out_of_memory",
        )
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return EngineError(f"MusicGen could not make this sound ({first[:200]})")

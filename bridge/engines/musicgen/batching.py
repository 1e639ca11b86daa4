"""Continuous batching: requests join and leave a running decoder at any step, and share its reading of the weights."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.engines.musicgen.decoder import Codes, Decoder, Floats
from bridge.engines.musicgen.pattern import DelayPattern
from bridge.engines.musicgen.sampling import Draws, Sampling, Used, draws, guided, note, pick
from bridge.errors import EngineError

__all__ = ["Batch", "Conditioning", "Sampling", "Stream"]

log = logging.getLogger(__name__)

PIECE: Final = 16
"""Positions of a prefix or prompt that are taken in between two steps of the others. Always as many, alone or not:
what a product of matrices rounds depends on its size, and the same seed must give the same codes."""
_LISTEN_SECONDS: Final = 0.2  # how often a request that only waits asks whether it is still wanted


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a request hears."""

    memory: Floats | None
    """(S, H), for the cross-attention; None for melody models."""
    prefix: Floats | None = None
    """(P, H), what melody models hear before the first code."""
    unheard_prefix: Floats | None = None
    """(P', H), what the unconditional row has in its place."""


class Batch:
    """One decoder for all requests. ``generate`` may be called from any thread; one of its own steps the decoder.

    Requests take rows in the order in which they came: two with guidance, one without. What is asked for in the
    background takes rows that nobody waits for, pauses while a player's request is there, and loses its rows when
    those are needed: then it is made again up to where it was, and goes on from there with the same codes.
    """

    def __init__(self, decoder: Decoder, *, channels: int | None = None) -> None:
        """``channels``: of the audio; None = 2 for eight codebooks, as in the stereo models, else 1."""
        shape = decoder.shape
        self._decoder = decoder
        self._pattern = DelayPattern(
            codebooks=shape.codebooks,
            channels=channels or (2 if shape.codebooks == 8 else 1),
            nothing=shape.vocabulary,
        )
        self._free = list(range(decoder.rows))
        self._waiting: deque[_Request] = deque()
        self._running: list[_Request] = []
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="musicgen-decoder", daemon=True)
        self._thread.start()

    @property
    def pattern(self) -> DelayPattern:
        """How codes lie in steps."""
        return self._pattern

    @property
    def busy(self) -> int:
        """How many requests are running or waiting."""
        with self._changed:
            return len(self._running) + len(self._waiting)

    def generate(
        self,
        conditioning: Conditioning,
        sampling: Sampling,
        frames: int,
        *,
        prompt: Codes | None = None,
        background: bool = False,
        report: Callable[[float], None] = lambda _: None,
    ) -> Stream:
        """Ask for ``frames`` frames of codes, and return them as they come, (n, K) with n >= 1 at a time.

        ``prompt``: frames (P, K) to go on from; they are not returned again. ``report`` hears the progress, 0..1, in
        the thread that reads the stream; when it raises, or when the stream is closed, the request leaves the batch
        at the next step. Codes are made whether they are read or not, and kept (a few bytes each) until they are.

        Raises EngineError when there are more frames than the decoder has positions; later, out of the stream, when
        the decoder failed on it.
        """
        request = _Request(self._decoder, self._pattern, conditioning, sampling, frames, prompt, background=background)
        with self._changed:
            if self._closed:
                raise EngineError("the model is being unloaded: ask again")
            self._waiting.append(request)
            self._changed.notify_all()
        return Stream(request, self._changed, report)

    def close(self) -> None:
        """Give up all requests, and wait until the thread has ended. The decoder is left to its owner."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not (self._running or self._waiting):
                    self._changed.wait()
                self._clear()
                if self._closed:
                    for request in (*self._running, *self._waiting):
                        request.fail(EngineError("the model was unloaded in the middle: ask again"))
                    self._changed.notify_all()
                    return
                self._admit()
                player = any(not request.background for request in self._running)
                turn = [request for request in self._running if not (player and request.background)]
            self._advance(turn)

    def _advance(self, turn: list[_Request]) -> None:
        """Take one piece of one request that joins, and one step of all that have joined."""
        joining = next((request for request in turn if request.joining), None)
        if joining is not None:
            try:
                joining.join_by_a_piece()
            except Exception as error:  # whatever it was, the others go on
                self._fail([joining], error)
        stepping = [request for request in turn if not request.joining and not request.over]
        if not stepping:
            return
        rows = [row for request in stepping for row in request.rows]
        columns = [request.column() for request in stepping]
        codes = np.concatenate([np.repeat(c, len(r.rows), axis=0) for c, r in zip(columns, stepping, strict=True)])
        try:
            scores = self._decoder.step(rows, codes)
        except Exception as error:  # whatever it was, the batch goes on
            self._fail(stepping, error)
            return
        first = 0
        for request in stepping:
            try:
                request.draw(scores[first : first + len(request.rows)])
            except ValueError as error:
                self._fail([request], error)
            first += len(request.rows)
        with self._changed:
            self._changed.notify_all()

    def _fail(self, requests: list[_Request], error: Exception) -> None:
        log.error("the decoder failed on %d requests", len(requests), exc_info=error)
        with self._changed:
            for request in requests:
                request.fail(_sentence(error))
            self._changed.notify_all()

    def _clear(self) -> None:
        """Take out what is over. Called with the lock held."""
        for request in [request for request in self._running if request.over]:
            self._running.remove(request)
            self._release(request)
        for request in [request for request in self._waiting if request.over]:
            self._waiting.remove(request)

    def _admit(self) -> None:
        """Give rows to those who wait, players first. Called with the lock held."""
        players = [request for request in self._waiting if not request.background]
        for request in players:
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

    def _seat(self, request: _Request) -> None:
        self._waiting.remove(request)
        self._free.sort()  # the lowest: a decoder with static shapes steps as many rows as the highest asks for
        request.sit(self._free[: request.width])
        del self._free[: request.width]
        self._running.append(request)

    def _release(self, request: _Request) -> None:
        self._free += request.rows
        request.rows = []


class Stream(Iterator[Codes]):
    """The codes of one request, as they come."""

    def __init__(self, request: _Request, changed: threading.Condition, report: Callable[[float], None]) -> None:
        self._request = request
        self._changed = changed
        self._report = report
        self._read = 0
        self._told = -1.0

    def __next__(self) -> Codes:
        """Wait for the next frames, (n, K). Raises EngineError, or what ``report`` raises."""
        request = self._request
        while True:
            with self._changed:
                if request.made <= self._read and not request.over and request.progress <= self._told:
                    self._changed.wait(_LISTEN_SECONDS)
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
                return request.frames[request.known + first : request.known + made].copy()

    def close(self) -> None:
        """Leave the batch at the next step. May be called again."""
        with self._changed:
            self._request.over = True
            self._changed.notify_all()

    def __del__(self) -> None:
        self._request.over = True  # without the lock: it may be held by the thread that collects us


class _Request:
    """What the batch knows about one request; its thread calls the methods, readers look at the last four fields."""

    def __init__(
        self,
        decoder: Decoder,
        pattern: DelayPattern,
        conditioning: Conditioning,
        sampling: Sampling,
        frames: int,
        prompt: Codes | None,
        *,
        background: bool,
    ) -> None:
        shape = decoder.shape
        self._decoder = decoder
        self._pattern = pattern
        self._conditioning = conditioning
        self._sampling = sampling
        self.background = background
        self.known = 0 if prompt is None else len(prompt)
        self.frames: Codes = np.full((self.known + frames, shape.codebooks), -1, dtype=np.int32)
        if prompt is not None:
            self.frames[: self.known] = prompt
        self._steps = pattern.steps(self.known + frames)  # columns 0 .. steps - 1 are read, 1 .. steps are drawn
        prefixes = [conditioning.prefix, conditioning.unheard_prefix]
        needed = max(0 if prefix is None else len(prefix) for prefix in prefixes) + self._steps
        if frames < 1 or needed > decoder.max_steps:
            raise EngineError(
                f"the model holds {decoder.max_steps} steps at once and this sound takes {needed}: ask for a shorter "
                "duration"
            )
        if self.width > decoder.rows:
            raise EngineError("the model runs with a single row: set guidance to 1")
        self._uniform: Draws = draws(sampling.seed, self._steps, shape.codebooks)
        self._used: Used = np.zeros((shape.codebooks, shape.vocabulary), dtype=np.bool_)
        if prompt is not None:
            note(self._used, prompt)
        self._prompt_columns = self.known  # taken in at once; the next is stepped, as its scores are needed
        self.rows: list[int] = []
        self._pending: list[tuple[int, Floats]] = []
        self._next = 0  # the column that the next step reads
        self._drawn = 0  # the last column that was drawn, before rows were lost, too
        self.made = 0
        self.progress = 0.0
        self.over = False
        self.failure: EngineError | None = None

    @property
    def width(self) -> int:
        """How many rows it takes."""
        return 2 if self._sampling.guides else 1

    @property
    def joining(self) -> bool:
        """Has it still to take in its prefix or prompt?"""
        return bool(self._pending) or self._next < 0

    def sit(self, rows: list[int]) -> None:
        """Take rows, and begin at the beginning."""
        self.rows = list(rows)
        self._next = -1

    def join_by_a_piece(self) -> None:
        """Take in the next piece of what comes before the first step."""
        if self._next < 0:
            self._open()
        elif self._pending:
            row, inputs = self._pending.pop(0)
            self._decoder.prefill(row, inputs)

    def _open(self) -> None:
        given = self._conditioning
        heard = [(given.memory, given.prefix), (None, given.unheard_prefix)][: self.width]
        prompt = self._pattern.columns(self.frames, 0, self._prompt_columns)
        told = self._decoder.embed(prompt) if len(prompt) else None
        for row, (memory, prefix) in zip(self.rows, heard, strict=True):
            self._decoder.begin(row, memory)
            for inputs in (prefix, told):
                if inputs is not None:
                    self._pending += [(row, inputs[i : i + PIECE]) for i in range(0, len(inputs), PIECE)]
        self._next = self._prompt_columns

    def column(self) -> Codes:
        """Return what the next step reads, (1, K)."""
        return self._pattern.columns(self.frames, self._next, self._next + 1)

    def draw(self, scores: Floats) -> None:
        """Draw the next column out of ``scores`` (rows, K, V). Raises ValueError when they are no numbers."""
        column = self._next + 1
        self._next = column
        if column > self._drawn:  # else it is being made again after it lost its rows
            mine = scores[0] if self.width == 1 else guided(scores[0], scores[1], self._sampling.guidance)
            uniform = self._uniform[column - 1]
            codes = pick(mine, self._sampling, uniform, self._used)
            wanted = self._pattern.columns(self.frames, column, column + 1)[0]
            codes = np.where(wanted == self._pattern.nothing, codes, wanted)  # the prompt's last frames are given
            self._pattern.place(self.frames, column, codes)
            self._drawn = column
            if self._sampling.repetition_penalty != 1.0:
                note(self._used, self._pattern.columns(self.frames, column, column + 1))
        self.progress = max(self.progress, column / self._steps)
        self.made = max(self.made, self._pattern.whole(self._drawn) - self.known)
        if column >= self._steps:
            self.over = True

    def fail(self, error: EngineError) -> None:
        """End it."""
        self.failure = error
        self.over = True


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
    return EngineError(
        f"MusicGen could not make this sound ({(str(error) or type(error).__name__).splitlines()[0][:200]})"
    )

"""One request of a batch: its conditioning, the columns that it reads next, and the codes drawn for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.engines.musicgen.decoder import Codes, Decoder, Floats
from bridge.engines.musicgen.decoder.drawing import Columns, StepInput
from bridge.engines.musicgen.pattern import DelayPattern
from bridge.engines.musicgen.sampling import COLD, Sampling, Used, draws, note, pick
from bridge.errors import EngineError


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a request is conditioned on."""

    encoder_states: Floats | None
    """(S, H), of the text, for the cross-attention; None for melody models."""
    prefix: Floats | None = None
    """(P, H), the inputs of melody models before the first code."""
    unconditional_prefix: Floats | None = None
    """(P', H), the same for the unconditional row."""


class Request:
    """The state of one request. The batch's thread changes it; readers use what ``__init__`` sets last."""

    def __init__(
        self,
        pattern: DelayPattern,
        conditioning: Conditioning,
        sampling: Sampling,
        frames: int,
        prompt: Codes | None,
        *,
        background: bool,
        awaited: int,
        lock: threading.Lock,
    ) -> None:
        """``frames``: how many are wanted after ``prompt`` (P, K). ``awaited``, ``lock``: see ``Batch.generate``.

        Raises EngineError when the prompt has other codes than the model.
        """
        known = np.empty((0, pattern.codebooks), dtype=np.int32) if prompt is None else prompt.astype(np.int32)
        if known.shape[1:] != (pattern.codebooks,) or ((known < 0) | (known >= pattern.nothing)).any():
            raise EngineError("what is to be continued was encoded for another model: send it as audio")
        self.conditioning = conditioning
        self.background = background
        self._pattern = pattern
        self._known = len(known)
        self.steps = pattern.steps(self._known + frames)
        """Columns 0 .. steps - 1 are read, 1 .. steps are drawn."""
        used: Used | None = None
        if sampling.repetition_penalty != 1.0:
            used = np.zeros((pattern.codebooks, pattern.nothing), dtype=np.bool_)
            note(used, known)
        later = np.zeros((frames, pattern.codebooks), dtype=np.int32)
        codes = pattern.columns(np.concatenate([known, later]), 0, self.steps + 1)
        is_open = codes != pattern.columns(known, 0, self.steps + 1)
        codes[is_open] = pattern.nothing
        uniform = draws(sampling.seed, self.steps, pattern.codebooks)
        self.columns = Columns(codes, is_open, uniform, used, sampling)
        self._awaited = self._known + awaited + pattern.delay if awaited else 0

        self._inputs: deque[tuple[int, Floats]] = deque()
        self._began = False

        self.changed = threading.Condition(lock)
        self.made = 0
        """Complete frames, without the prompt's."""
        self.progress = 0.0
        self.over = False
        self.failure: EngineError | None = None

    @property
    def sampling(self) -> Sampling:
        """How it draws."""
        return self.columns.sampling

    @property
    def width(self) -> int:
        """How many rows it takes."""
        return 2 if self.sampling.guides else 1

    @property
    def positions(self) -> int:
        """How many positions it takes in a row."""
        prefixes = (self.conditioning.prefix, self.conditioning.unconditional_prefix)
        return max(0 if prefix is None else len(prefix) for prefix in prefixes) + self.steps

    @property
    def prefilling(self) -> bool:
        """Is some of its prefix or prompt still to be prefilled before its first step?"""
        return not self._began or bool(self._inputs)

    @property
    def rows(self) -> Sequence[int]:
        """Its rows: the conditional one, and with guidance the unconditional one."""
        return self.columns.rows

    def admit(self, rows: list[int]) -> None:
        """Take rows. Codes that were drawn in other rows are kept, and are read again in these, step by step."""
        self.columns.rows = rows
        self._inputs.clear()
        self._began = False

    def release_rows(self) -> Sequence[int]:
        """Give its rows up, and return them."""
        rows, self.columns.rows = self.columns.rows, ()
        return rows

    def prefill(self, decoder: Decoder, chunk: int) -> None:
        """Prefill the next ``chunk`` positions of prefix or prompt, on one row."""
        if not self._began:
            self._begin(decoder, chunk)
        elif self._inputs:
            row, inputs = self._inputs.popleft()
            decoder.prefill(row, inputs)

    def _begin(self, decoder: Decoder, chunk: int) -> None:
        conditioning = self.conditioning
        prompt = decoder.embed(self.columns.codes[: self._known]) if self._known else None
        for row, encoder_states, prefix in zip(
            self.rows,
            (conditioning.encoder_states, None),
            (conditioning.prefix, conditioning.unconditional_prefix),
            strict=False,
        ):
            decoder.begin(row, encoder_states)
            for inputs in (prefix, prompt):
                if inputs is not None:
                    self._inputs += [(row, inputs[first : first + chunk]) for first in range(0, len(inputs), chunk)]
        self.columns.read = self._known  # the next column is stepped, because its scores are needed
        self._began = True

    @property
    def steps_made(self) -> int:
        """How many of its steps were run or started."""
        return self.columns.read

    @property
    def all_started(self) -> bool:
        """Has its last step been started?"""
        return self.columns.read >= self.steps

    @property
    def steps_to_awaited(self) -> int:
        """Steps until the frames that a reader waits for are complete; 0 or less: they are."""
        return self._awaited - self.columns.read

    def column(self) -> Codes:
        """Return what the next step reads, (K,)."""
        codes: Codes = self.columns.codes[self.columns.read]
        return codes

    def draw(self, scores: Floats) -> None:
        """Draw the next column from ``scores`` (rows, K, V). Raises ValueError when they are not finite."""
        mine = self.columns
        mine.read += 1
        codes = None
        if mine.read > mine.drawn:
            codes = pick(scores, self.sampling, mine.uniform[mine.read - 1], mine.used)
        self._place(mine.read, codes)

    def step_input(self) -> StepInput:
        """Return the next step's input for a decoder that draws by itself."""
        sampling, mine = self.sampling, self.columns
        given = self.column()
        if mine.read > mine.drawn:  # the step before is still in flight
            given = np.where(mine.open[mine.read], np.int32(-1), given)
        cold = sampling.temperature < COLD
        return StepInput(
            rows=self.rows,
            given=given,
            uniform=mine.uniform[mine.read],
            temperature=1.0 if cold else sampling.temperature,
            top_k=1 if cold else (sampling.top_k or self._pattern.nothing),
            top_p=sampling.top_p if 0.0 < sampling.top_p < 1.0 else 2.0,
            guidance=sampling.guidance,
        )

    def start_step(self) -> int:
        """Note that the step of ``step_input`` is in flight; return its column, for ``finish_step``."""
        self.columns.read += 1
        return self.columns.read

    def finish_step(self, column: int, codes: Codes) -> None:
        """Store what was drawn for a column, (K,). Raises ValueError when the scores were not finite."""
        if (codes < 0).any():
            raise ValueError("the scores are not finite")
        self._place(column, codes if column > self.columns.drawn else None)

    def note_steps(self) -> None:
        """Update the progress after ``run_steps``. Raises ValueError when the scores were not finite."""
        if self.columns.failed:
            raise ValueError("the scores are not finite")
        self._advanced(self.columns.read)

    def _place(self, column: int, codes: Codes | None) -> None:
        """Store the result of a step; without codes it was one of those that are repeated after an eviction."""
        mine = self.columns
        if codes is not None:
            np.copyto(mine.codes[column], codes, where=mine.open[column])
            mine.drawn = column
            if mine.used is not None:
                note(mine.used, mine.codes[column : column + 1])
        self._advanced(column)

    def _advanced(self, column: int) -> None:
        """Update what readers see; ``column`` is the last step's."""
        self.made = max(0, self._pattern.whole(self.columns.drawn) - self._known)
        self.progress = self.columns.drawn / self.steps
        if column >= self.steps:
            self.over = True

    def frames(self, first: int, end: int) -> Codes:
        """Return complete frames, (end - first, K), counted from the first one after the prompt."""
        return self._pattern.frames(self.columns.codes, self._known + first, self._known + end)

    def fail(self, error: EngineError) -> None:
        """End it with an error."""
        self.failure = error
        self.over = True

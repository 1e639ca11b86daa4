"""What one channel of one sound remembers between its parts."""

from __future__ import annotations

from typing import Final

import numpy as np

from bridge.engines.musicgen.codec._layers import Remembering, Sizes
from bridge.engines.musicgen.decoder._base import Floats

AT_ONCE: Final = 32
"""Codes decoded at one go: what they grow to in the last level still fits into a processor's caches."""


class Track:
    """One channel of one sound. Positions are counted in codes from the beginning of the sound.

    The first convolution looks ``ahead`` codes ahead (and as many back), so what the LSTM has seen ends so much before
    the codes; the levels look at ``before`` and ``after`` rows of the LSTM's, so the audio ends ``after`` before that.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._hop = sizes.hop
        self._ahead, self._before, self._after = sizes.ahead, sizes.before, sizes.after
        self._inputs: Floats = np.zeros((0, sizes.embedding), np.float32)
        self._inputs_from = 0
        """Position of the first row that is kept."""
        self._hidden: Floats = np.zeros((0, sizes.hidden), np.float32)
        self._hidden_from = 0
        self._state: Floats = np.zeros((sizes.memories, 2, sizes.hidden), np.float32)
        self._remembered = 0
        self._sounded = 0

    def add(self, rows: Floats) -> None:
        """Add embedded codes (n, channels)."""
        self._inputs = np.concatenate([self._inputs, rows])

    def ready(self, *, ended: bool) -> bool:
        """Say whether something can be decoded. ``ended``: no more codes will come."""
        there = self._inputs_from + len(self._inputs)
        return self._sounded < there if ended else self._remembered < there - self._ahead

    def is_last(self) -> bool:
        """Say whether the next part is the last one, if no more codes will come."""
        return self._inputs_from + len(self._inputs) - self._remembered <= AT_ONCE

    def to_remember(self, *, last: bool) -> Remembering:
        """Return the part that goes through the LSTM next."""
        skip = self._remembered - self._inputs_from
        take = min(AT_ONCE, len(self._inputs) - skip - (0 if last else self._ahead))
        return Remembering(self._inputs[: skip + take + self._ahead], skip, take, self._state)

    def remembered(self, hidden: Floats) -> Floats:
        """Take what came out of the LSTM, and return the rows that go through the levels next."""
        self._remembered += len(hidden)
        kept = max(0, self._remembered - self._ahead)
        self._inputs = self._inputs[kept - self._inputs_from :]
        self._inputs_from = kept
        self._hidden = np.concatenate([self._hidden, hidden])
        return self._hidden

    def sounded(self, audio: Floats, *, last: bool) -> Floats:
        """Take what the levels made, and return what of it is new and settled."""
        end = self._remembered if last else max(self._sounded, self._remembered - self._after)
        new = audio[(self._sounded - self._hidden_from) * self._hop : (end - self._hidden_from) * self._hop]
        self._sounded = end
        kept = max(0, end - self._before)
        self._hidden = self._hidden[kept - self._hidden_from :]
        self._hidden_from = kept
        return new

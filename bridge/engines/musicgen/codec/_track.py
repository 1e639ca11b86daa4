"""The state of one channel of one sound between its parts."""

from __future__ import annotations

from typing import Final

import numpy as np

from bridge.engines.musicgen.codec._layers import LstmPart, Sizes
from bridge.engines.musicgen.decoder.interface import Floats

AT_ONCE: Final = 32
"""Codes decoded at once: their rows in the last level still fit into a processor's caches."""


class Track:
    """One channel of one sound. Positions are counted in codes from the beginning of the sound.

    The first convolution looks ``ahead`` codes ahead (and as many back), so the LSTM is ``ahead`` codes behind the last
    code. The levels look ``before`` rows of the LSTM's output back and ``after`` rows ahead, so the audio is another
    ``after`` codes behind.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._hop = sizes.hop
        self._ahead, self._before, self._after = sizes.ahead, sizes.before, sizes.after
        self._inputs: Floats = np.zeros((0, sizes.embedding), np.float32)
        self._inputs_from = 0
        """Position of the first row in ``_inputs``."""
        self._hidden: Floats = np.zeros((0, sizes.hidden), np.float32)
        self._hidden_from = 0
        self._state: Floats = np.zeros((sizes.lstm_layers, 2, sizes.hidden), np.float32)
        self._lstm_end = 0
        self._settled_end = 0

    def add(self, rows: Floats) -> None:
        """Add embedded codes (n, channels)."""
        self._inputs = np.concatenate([self._inputs, rows])

    def ready(self, *, ended: bool) -> bool:
        """Say whether a part can be decoded. ``ended``: no more codes will come."""
        there = self._inputs_from + len(self._inputs)
        return self._settled_end < there if ended else self._lstm_end < there - self._ahead

    def is_last(self) -> bool:
        """Say whether the next part is the last one, provided that no more codes come."""
        return self._inputs_from + len(self._inputs) - self._lstm_end <= AT_ONCE

    def next_lstm_part(self, *, last: bool) -> LstmPart:
        """Return the next part for the LSTM."""
        skip = self._lstm_end - self._inputs_from
        take = min(AT_ONCE, len(self._inputs) - skip - (0 if last else self._ahead))
        return LstmPart(self._inputs[: skip + take + self._ahead], skip, take, self._state)

    def add_hidden(self, hidden: Floats) -> Floats:
        """Append the LSTM's output, and return the rows for the levels."""
        self._lstm_end += len(hidden)
        kept = max(0, self._lstm_end - self._ahead)
        self._inputs = self._inputs[kept - self._inputs_from :]
        self._inputs_from = kept
        self._hidden = np.concatenate([self._hidden, hidden])
        return self._hidden

    def settle(self, audio: Floats, *, last: bool) -> Floats:
        """Take the audio of those rows, and return the part of it that is new and final."""
        end = self._lstm_end if last else max(self._settled_end, self._lstm_end - self._after)
        new = audio[(self._settled_end - self._hidden_from) * self._hop : (end - self._hidden_from) * self._hop]
        self._settled_end = end
        kept = max(0, end - self._before)
        self._hidden = self._hidden[kept - self._hidden_from :]
        self._hidden_from = kept
        return new

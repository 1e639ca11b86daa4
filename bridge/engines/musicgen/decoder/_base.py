"""What a MusicGen decoder is to the rest of the engine: rows with a past, and one step that adds to all of them.

A row is one sequence of codes with its own past. A request with guidance takes two rows, one that hears the prompt and
one that does not; the decoder does not know which belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Sizes of a MusicGen decoder (Copet et al. 2023, arXiv:2306.05284, section 3.1)."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    """Width of the feed-forward layer."""
    vocabulary: int
    """Codes of one codebook; the code ``vocabulary`` itself is the one for "nothing yet"."""
    codebooks: int
    """4, or 8 for stereo (left and right in turn)."""
    positions: int
    """Steps it was trained on."""
    cross: bool
    """False for the melody models: they hear their conditioning as a prefix, not by cross-attention."""


class DecoderWeights(Protocol):
    """The weights of one decoder, read a tensor at a time so that no second copy of all of them is ever in memory.

    Names and shapes (H = hidden, F = ffn, V = vocabulary, K = codebooks, ``i`` = layer from 0):
    ``embed`` (K x (V + 1), H); ``norm.weight``, ``norm.bias`` (H); ``heads`` (K x V, H);
    ``i.self_norm.weight``, ``i.self_norm.bias``, ``i.cross_norm...``, ``i.ffn_norm...`` (H);
    ``i.qkv`` (3 H, H: query, key, value), ``i.self_out`` (H, H);
    ``i.cross_q``, ``i.cross_k``, ``i.cross_v``, ``i.cross_out`` (H, H), only with ``shape.cross``;
    ``i.fc1`` (F, H), ``i.fc2`` (H, F). No layer has a bias; the activation between fc1 and fc2 is the exact GELU.
    """

    @property
    def shape(self) -> DecoderShape:
        """Sizes."""
        ...

    @property
    def digest(self) -> str:
        """Names the checkpoint by its content, hexadecimal: what is kept on disk of it is kept under this name."""
        ...

    def read(self, name: str) -> Floats:
        """Return one tensor as float32, C-contiguous. Raises EngineUnavailable when it is missing or damaged."""
        ...


class Decoder(Protocol):
    """Computes scores of the next codes.

    One thread calls it. What a row gets does not depend on the other rows of a step: on the CPU its numbers are the
    same to the last bit, alone or among others.
    """

    @property
    def shape(self) -> DecoderShape:
        """Sizes."""
        ...

    @property
    def rows(self) -> int:
        """How many rows there are, numbered from 0."""
        ...

    @property
    def max_steps(self) -> int:
        """Positions a row can hold, prefix and prompt counted."""
        ...

    @property
    def description(self) -> dict[str, str]:
        """For /health, doctor and the page: ``device``, ``precision``, ``kernel``."""
        ...

    def begin(self, row: int, memory: Floats | None) -> None:
        """Forget the row's past, and let it hear ``memory`` (S, H) by cross-attention.

        None: it hears nothing, and its cross-attention is skipped: that of an all-zero memory is exactly zero, as its
        layers have no bias. ``memory`` is None for models without cross-attention.
        """
        ...

    def embed(self, codes: Codes) -> Floats:
        """Turn codes (T, K) into the inputs (T, H) that ``step`` would make of them, before positions are added."""
        ...

    def prefill(self, row: int, inputs: Floats) -> None:
        """Add T positions to the row's past at once; ``inputs`` (T, H) as ``embed`` makes them, or a prefix."""
        ...

    def step(self, rows: Sequence[int], codes: Codes) -> Floats:
        """Add one position to each of ``rows`` (n distinct numbers), and return the scores of what comes next.

        ``codes`` (n, K): the last codes, in the delay pattern, ``vocabulary`` where there is none.
        Returns (n, K, V), valid until the next call.
        """
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...

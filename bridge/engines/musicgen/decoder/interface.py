"""The interface of a MusicGen decoder: rows with a KV cache each, and a step that appends a position to several rows.

A row is one sequence of codes with its own KV cache. A request with guidance takes two rows, a conditional and an
unconditional one; the decoder does not know which rows belong together.
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
    """Codes of one codebook; the code ``vocabulary`` itself stands for "nothing yet"."""
    codebooks: int
    """4, or 8 for stereo (left and right alternate)."""
    positions: int
    """Steps it was trained on."""
    cross: bool
    """False for the melody models: they get their conditioning as a prefix, not by cross-attention."""


class DecoderWeights(Protocol):
    """The weights of one decoder, read a tensor at a time so that memory never holds a second copy of all of them.

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
        """Hexadecimal digest of the checkpoint's content: files derived from it are named after it."""
        ...

    def read(self, name: str) -> Floats:
        """Return one tensor as float32, C-contiguous. Raises EngineUnavailable when it is missing or damaged."""
        ...


class Decoder(Protocol):
    """Computes scores of the next codes.

    One thread calls it. A row's scores do not depend on the other rows of a step: on the CPU they are the same to the
    last bit, alone or among others.
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
        """Positions a row can hold, prefix and prompt included."""
        ...

    @property
    def description(self) -> dict[str, str]:
        """For /health, doctor and the page: ``device``, ``precision``, ``kernel``."""
        ...

    def begin(self, row: int, encoder_states: Floats | None) -> None:
        """Clear the row's KV cache, and let it cross-attend to ``encoder_states`` (S, H).

        With None its cross-attention is skipped. That is the same as all-zero states: their cross-attention is exactly
        zero, since its layers have no bias. Models without cross-attention take only None.
        """
        ...

    def embed(self, codes: Codes) -> Floats:
        """Turn codes (T, K) into the inputs (T, H) that ``step`` computes from them, before positions are added."""
        ...

    def prefill(self, row: int, inputs: Floats) -> None:
        """Append T positions to the row's KV cache at once; ``inputs`` (T, H): from ``embed``, or a prefix."""
        ...

    def step(self, rows: Sequence[int], codes: Codes) -> Floats:
        """Append one position to each of ``rows`` (n distinct numbers), and return the scores of the next codes.

        ``codes`` (n, K): the last codes, in the delay pattern, with ``vocabulary`` for "nothing yet".
        Returns (n, K, V), valid until the next call.
        """
        ...

    def close(self) -> None:
        """Free the memory."""
        ...

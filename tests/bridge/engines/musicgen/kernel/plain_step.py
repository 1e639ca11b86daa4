"""The decoder's step in float64, written as plainly as the paper says it, and random weights for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import erf

from bridge.engines.musicgen.decoder import Codes, DecoderShape, Floats

TINY = DecoderShape(
    layers=2, hidden=64, heads=4, ffn=256, vocabulary=64, codebooks=4, positions=100, cross=True
)  # fmt: skip
USUAL = DecoderShape(
    layers=2, hidden=256, heads=4, ffn=512, vocabulary=64, codebooks=4, positions=100, cross=True
)  # fmt: skip
"""Heads of 64, as in every published model."""
ODD = DecoderShape(
    layers=3, hidden=96, heads=4, ffn=208, vocabulary=50, codebooks=8, positions=100, cross=True
)  # fmt: skip
"""Nothing in it is a whole number of tiles, groups or registers."""
WIDE = DecoderShape(
    layers=2, hidden=512, heads=4, ffn=1280, vocabulary=64, codebooks=4, positions=100, cross=True
)  # fmt: skip
"""Several groups of inputs, and heads of 128."""
MELODY = DecoderShape(
    layers=2, hidden=64, heads=4, ffn=256, vocabulary=64, codebooks=4, positions=100, cross=False
)  # fmt: skip


class RandomWeights:
    """Weights that make scores of about 1; the same seed makes the same."""

    def __init__(self, shape: DecoderShape, seed: int = 0) -> None:
        self.shape = shape
        self.digest = f"random{seed}"
        self.reads: list[str] = []
        draw = np.random.default_rng(seed)
        h, f, v, k = shape.hidden, shape.ffn, shape.vocabulary, shape.codebooks

        def matrix(outputs: int, inputs: int) -> Floats:
            made: Floats = (draw.standard_normal((outputs, inputs)) / math.sqrt(inputs)).astype(np.float32)
            return made

        self.tensors: dict[str, Floats] = {"embed": matrix(k * (v + 1), h), "heads": matrix(k * v, h)}
        parts = ("self", "cross", "ffn") if shape.cross else ("self", "ffn")
        for norm in ["norm", *(f"{i}.{part}_norm" for i in range(shape.layers) for part in parts)]:
            self.tensors[f"{norm}.weight"] = (1 + 0.1 * draw.standard_normal(h)).astype(np.float32)
            self.tensors[f"{norm}.bias"] = (0.1 * draw.standard_normal(h)).astype(np.float32)
        for i in range(shape.layers):
            self.tensors |= {f"{i}.qkv": matrix(3 * h, h), f"{i}.self_out": matrix(h, h)}
            self.tensors |= {f"{i}.fc1": matrix(f, h), f"{i}.fc2": matrix(h, f)}
            if shape.cross:
                self.tensors |= {f"{i}.cross_{part}": matrix(h, h) for part in ("q", "k", "v", "out")}

    def read(self, name: str) -> Floats:
        self.reads.append(name)
        return self.tensors[name]


class PlainStep:
    """A decoder, slow and exact."""

    def __init__(self, weights: RandomWeights) -> None:
        self._tensors = {name: tensor.astype(np.float64) for name, tensor in weights.tensors.items()}
        self.shape = weights.shape
        self._kv: dict[int, list[list[list[Any]]]] = {}
        self._states: dict[int, Any] = {}
        self._filled: dict[int, int] = {}

    def begin(self, row: int, encoder_states: Floats | None) -> None:
        self._kv[row] = [[[], []] for _ in range(self.shape.layers)]
        self._states[row] = None if encoder_states is None else encoder_states.astype(np.float64)
        self._filled[row] = 0

    def embed(self, codes: Codes) -> Any:
        size = self.shape.vocabulary + 1
        return sum(self._tensors["embed"][book * size + codes[:, book]] for book in range(self.shape.codebooks))

    def prefill(self, row: int, inputs: Floats) -> None:
        for x in inputs:
            self._one(row, x)

    def step(self, rows: Sequence[int], codes: Codes) -> Any:
        return np.array([self._one(row, x) for row, x in zip(rows, self.embed(codes), strict=True)])

    def _one(self, row: int, x: Any) -> Any:
        t, shape = self._tensors, self.shape
        half = shape.hidden // 2
        angles = self._filled[row] * np.exp(np.arange(half) * -(math.log(10_000) / (half - 1)))
        x = x + np.concatenate([np.cos(angles), np.sin(angles)])
        for i in range(shape.layers):
            query, key, value = np.split(t[f"{i}.qkv"] @ self._norm(x, f"{i}.self_norm"), 3)
            keys, values = self._kv[row][i]
            keys.append(key)
            values.append(value)
            x = x + t[f"{i}.self_out"] @ self._attend(query, np.array(keys), np.array(values))
            if (states := self._states[row]) is not None:
                query = t[f"{i}.cross_q"] @ self._norm(x, f"{i}.cross_norm")
                attended = self._attend(query, states @ t[f"{i}.cross_k"].T, states @ t[f"{i}.cross_v"].T)
                x = x + t[f"{i}.cross_out"] @ attended
            inner = t[f"{i}.fc1"] @ self._norm(x, f"{i}.ffn_norm")
            x = x + t[f"{i}.fc2"] @ (inner / 2 * (1 + erf(inner / math.sqrt(2))))
        self._filled[row] += 1
        return (t["heads"] @ self._norm(x, "norm")).reshape(shape.codebooks, shape.vocabulary)

    def _norm(self, x: Any, name: str) -> Any:
        normal = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return normal * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"]

    def _attend(self, query: Any, keys: Any, values: Any) -> Any:
        heads = self.shape.heads
        query, keys, values = (x.reshape(*x.shape[:-1], heads, -1) for x in (query, keys, values))
        scores = np.einsum("hd,thd->ht", query, keys) / math.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        return np.einsum("ht,thd->hd", shares / shares.sum(-1, keepdims=True), values).ravel()


def cosine(a: Any, b: Any) -> float:
    """Of two lists of scores."""
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))

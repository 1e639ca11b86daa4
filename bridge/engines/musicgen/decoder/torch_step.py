"""The decoder in torch: simple rather than quick, on any device. It runs where the kernel is missing."""

from __future__ import annotations

import functools
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bridge.engines.musicgen.decoder.interface import Codes, DecoderShape, DecoderWeights, Floats
from bridge.errors import EngineUnavailable

log = logging.getLogger(__name__)

EPSILON: Final = 1e-5
"""What layer normalisation adds to the variance; the reference uses torch's default."""
PRECISIONS: Final = ("float32", "bfloat16", "float16", "int8")


class Linear(Protocol):
    """A matrix, (n, in) -> (n, out), without a bias."""

    def __call__(self, x: Tensor, *, apart: bool = False) -> Tensor:
        """``apart``: no row's result may depend, not even in its last bit, on how many rows there are."""
        ...


Norm: TypeAlias = tuple[Tensor, Tensor]
"""Weight and bias, (H,)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer, ready to be used."""

    self_norm: Norm
    qkv: Linear
    self_out: Linear
    cross_norm: Norm | None
    cross_q: Linear | None
    cross_k: Linear | None
    cross_v: Linear | None
    cross_out: Linear | None
    ffn_norm: Norm
    fc1: Linear
    fc2: Linear


@dataclass(frozen=True, slots=True)
class Network:
    """All weights on their device.

    The residual stream is float32 in any precision: rounded to bfloat16 after each of the 72 sums of a small model, it
    has three times the error.
    """

    shape: DecoderShape
    embed: Tensor
    """(K x (V + 1), H)."""
    positions: Tensor
    """(max_steps, H)."""
    layers: list[Layer]
    norm: Norm
    heads: Linear

    def inputs(self, codes: Tensor) -> Tensor:
        """``codes`` (n, K) -> (n, H): the sum of the codebooks' embeddings."""
        shape = self.shape
        offsets = torch.arange(shape.codebooks, device=codes.device) * (shape.vocabulary + 1)
        return functional.embedding(codes + offsets, self.embed).float().sum(-2)


def load_network(weights: DecoderWeights, max_steps: int, device: str, precision: str) -> Network:
    """Read all weights, a tensor at a time. Raises EngineUnavailable when one is missing, or the precision unknown."""
    if precision not in PRECISIONS or (precision == "int8" and device != "cpu"):
        raise EngineUnavailable(f"torch decodes in {', '.join(PRECISIONS)} (int8 on the CPU only), not in {precision}")
    shape = weights.shape
    dtype = torch.float32 if precision == "int8" else getattr(torch, precision)

    def tensor(name: str, kind: torch.dtype = dtype) -> Tensor:
        return torch.from_numpy(weights.read(name)).to(device=device, dtype=kind)

    def norm(name: str) -> Norm:
        return tensor(f"{name}.weight", torch.float32), tensor(f"{name}.bias", torch.float32)

    def linear(name: str) -> Linear:
        if precision == "int8":
            return _quantized(torch.from_numpy(weights.read(name)))
        return _plain(tensor(name))

    def layer(i: int) -> Layer:
        cross = shape.cross
        return Layer(
            self_norm=norm(f"{i}.self_norm"),
            qkv=linear(f"{i}.qkv"),
            self_out=linear(f"{i}.self_out"),
            cross_norm=norm(f"{i}.cross_norm") if cross else None,
            cross_q=linear(f"{i}.cross_q") if cross else None,
            cross_k=linear(f"{i}.cross_k") if cross else None,
            cross_v=linear(f"{i}.cross_v") if cross else None,
            cross_out=linear(f"{i}.cross_out") if cross else None,
            ffn_norm=norm(f"{i}.ffn_norm"),
            fc1=linear(f"{i}.fc1"),
            fc2=linear(f"{i}.fc2"),
        )

    return Network(
        shape=shape,
        embed=tensor("embed"),
        positions=sinusoids(max_steps, shape.hidden).to(device=device),
        layers=[layer(i) for i in range(shape.layers)],
        norm=norm("norm"),
        heads=linear("heads"),
    )


def sinusoids(positions: int, hidden: int) -> Tensor:
    """Return what is added to the inputs at each position, (positions, hidden): cosines, then sines.

    Vaswani et al. 2017, section 3.5, in the layout of tensor2tensor that MusicGen was trained with.
    """
    half = hidden // 2
    rates = torch.exp(torch.arange(half).float() * -(math.log(10_000) / (half - 1)))
    angles = torch.arange(positions).float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin(), torch.zeros(positions, hidden % 2)], dim=1)


def _plain(weight: Tensor) -> Linear:
    """A matrix without quantisation.

    The rounding of a matrix product depends on the number of rows. With ``apart`` each row is multiplied alone, which
    costs little: MKL is slower with two rows than twice with one.
    """

    def linear(x: Tensor, *, apart: bool = False) -> Tensor:
        x = x.to(weight.dtype)
        if not apart or len(x) == 1:
            return functional.linear(x, weight)
        return torch.cat([functional.linear(row, weight) for row in x.split(1)])

    return linear


@functools.cache
def has_int8() -> bool:
    """Try whether this torch multiplies int8 matrices: it announces that these functions will be removed."""
    try:
        with torch.inference_mode():
            return bool(_quantized(torch.eye(4))(torch.ones(1, 4)).isfinite().all())
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def _quantized(weight: Tensor) -> Linear:
    """Int8, a scale for each output, by FBGEMM: weights of -127..127, inputs quantised as they come.

    FBGEMM uses one scale for all rows of the input. So that rows do not influence each other, each is brought to the
    range -1..1, and an added last row with both ends fixes the common scale; sums of integers do not round.
    """
    packed, sums = _packed(weight)
    fewer_bits = not _holds_eight_bits()
    ends = torch.zeros(1, weight.shape[1])
    ends[0, 0], ends[0, 1] = -1.0, 1.0

    def linear(x: Tensor, *, apart: bool = False) -> Tensor:
        del apart  # rows are always independent
        lowest, highest = x.aminmax(dim=1, keepdim=True)
        middle, reach = (highest + lowest) / 2, ((highest - lowest) / 2).clamp_min(1e-12)
        rows = torch.cat([((x - middle) / reach).clamp(-1.0, 1.0), ends])  # rounding could leave the range
        return torch.ops.quantized.linear_dynamic(rows, packed, fewer_bits)[:-1] * reach + middle * sums

    return linear


def _packed(weight: Tensor) -> tuple[Any, Tensor]:
    """Return the matrix packed for FBGEMM, and the sum of each output's weights, (out,)."""
    scale = weight.abs().amax(1).clamp_min(1e-12) / 127
    zeros = torch.zeros(len(weight), dtype=torch.long)
    with warnings.catch_warnings():  # torch announces that these functions will be removed
        warnings.simplefilter("ignore")
        quantized = torch.quantize_per_channel(weight, scale.double(), zeros, 0, torch.qint8)
        return torch.ops.quantized.linear_prepack(quantized, None), quantized.dequantize().sum(1)


@functools.cache
def _holds_eight_bits() -> bool:
    """Try whether inputs may use all eight bits: without VNNI a sum of two products overflows 16 bits and saturates."""
    width = 64
    loudest = torch.ones(1, width)
    both_ends = torch.cat([loudest, -loudest])
    packed, _ = _packed(torch.ones(16, width))
    product = torch.ops.quantized.linear_dynamic(both_ends, packed, False)
    return bool((product[0] - width).abs().max() < 0.02 * width)


class TorchDecoder:
    """A decoder whose rows go through the matrices together and through the attention one by one.

    Each row has its own KV cache and its own position. On the CPU a row's scores are the same to the last bit, alone or
    among others.
    """

    def __init__(self, network: Network, *, rows: int, max_steps: int, device: str, precision: str) -> None:
        """``network`` has positions for ``max_steps``."""
        shape = network.shape
        self.network = network
        self._device = device
        self._apart = device == "cpu"
        self._precision = precision
        self._max_steps = max_steps
        self._width = shape.hidden // shape.heads
        self.kv_cache = torch.zeros(
            rows, shape.layers, 2, shape.heads, max_steps, self._width, dtype=network.embed.dtype, device=device
        )
        """Keys and values of each row."""
        self.cross: list[list[tuple[Tensor, Tensor]] | None] = [None] * rows
        """Of each row with cross-attention: keys and values of each layer, (heads, S, width)."""
        self.filled = [0] * rows
        """Positions in the KV cache of each row."""

    @classmethod
    def load(
        cls,
        weights: DecoderWeights,
        *,
        rows: int,
        max_steps: int,
        device: str = "cpu",
        precision: str = "float32",
    ) -> TorchDecoder:
        """Read the weights.

        ``precision``: "float32", "bfloat16", "float16", or "int8" on the CPU, which becomes bfloat16 where torch has
        no int8. Raises EngineUnavailable.
        """
        with computing():
            if precision == "int8" and not has_int8():
                log.warning("torch %s has no products of int8 matrices: bfloat16 instead, slower", torch.__version__)
                precision = "bfloat16"
            network = load_network(weights, max_steps, device, precision)
            return cls(network, rows=rows, max_steps=max_steps, device=device, precision=precision)

    @property
    def shape(self) -> DecoderShape:
        """Sizes."""
        return self.network.shape

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.filled)

    @property
    def max_steps(self) -> int:
        """Positions a row can hold."""
        return self._max_steps

    @property
    def description(self) -> dict[str, str]:
        """What it runs on."""
        return {"device": self._device, "precision": self._precision, "kernel": f"torch {torch.__version__}"}

    def begin(self, row: int, encoder_states: Floats | None) -> None:
        """Clear the row's KV cache, and let it cross-attend to ``encoder_states`` (S, H)."""
        self.filled[row] = 0
        self.cross[row] = None
        if encoder_states is None:
            return
        with computing():
            states = self._tensor(encoder_states)
            self.cross[row] = [
                (self._split(layer.cross_k(states)), self._split(layer.cross_v(states)))
                for layer in self.network.layers
                if layer.cross_k is not None and layer.cross_v is not None
            ]

    def embed(self, codes: Codes) -> Floats:
        """Codes (T, K) -> inputs (T, H)."""
        with computing():
            inputs: Floats = self.network.inputs(self._codes(codes)).float().cpu().numpy()
        return inputs

    def prefill(self, row: int, inputs: Floats) -> None:
        """Append T positions at once."""
        with computing():
            self._run([row], self._tensor(inputs))

    def step(self, rows: Sequence[int], codes: Codes) -> Floats:
        """Append a position to each of ``rows``; ``codes`` (n, K) -> scores (n, K, V)."""
        shape = self.network.shape
        with computing():
            x = self._run(rows, self.network.inputs(self._codes(codes)))
            scores = self.network.heads(layer_norm(x, self.network.norm), apart=self._apart)
            scored: Floats = scores.view(len(rows), shape.codebooks, shape.vocabulary).float().cpu().numpy()
        return scored

    def close(self) -> None:
        """Free the memory."""
        self.kv_cache = torch.empty(0)
        self.cross = []
        self.filled = []

    def _run(self, rows: Sequence[int], x: Tensor) -> Tensor:
        """Run ``x`` (n, H) through the layers: one position of each row, or n positions of a single row."""
        count = len(x) if len(rows) == 1 else 1
        apart = self._apart and count == 1
        firsts = [self.filled[row] for row in rows]
        if max(firsts) + count > self._max_steps:
            raise ValueError(f"a row holds {self._max_steps} positions and {max(firsts) + count} are asked for")
        at = torch.tensor([first + i for first in firsts for i in range(count)], device=self._device)
        x = x + self.network.positions[at]
        for number, layer in enumerate(self.network.layers):
            x = x + self._self_attention(layer, number, rows, firsts, count, x)
            if any(self.cross[row] is not None for row in rows):
                x = self._cross_attention(layer, number, rows, count, x)
            wide = functional.gelu(layer.fc1(layer_norm(x, layer.ffn_norm), apart=apart))
            x = x + layer.fc2(wide, apart=apart)
        for row, first in zip(rows, firsts, strict=True):
            self.filled[row] = first + count
        return x

    def _self_attention(
        self, layer: Layer, number: int, rows: Sequence[int], firsts: list[int], count: int, x: Tensor
    ) -> Tensor:
        apart = self._apart and count == 1
        qkv = layer.qkv(layer_norm(x, layer.self_norm), apart=apart)
        q, k, v = (part.view(len(rows), count, -1, self._width) for part in qkv.chunk(3, dim=-1))
        attended = []
        for i, (row, first) in enumerate(zip(rows, firsts, strict=True)):
            kv = self.kv_cache[row, number]  # (2, heads, max_steps, width)
            end = first + count
            kv[0, :, first:end] = k[i].transpose(0, 1)
            kv[1, :, first:end] = v[i].transpose(0, 1)
            attended.append(self._attend(q[i], kv[0, :, :end], kv[1, :, :end], causal=count > 1))
        return layer.self_out(torch.cat(attended), apart=apart)

    def _cross_attention(self, layer: Layer, number: int, rows: Sequence[int], count: int, x: Tensor) -> Tensor:
        """Add the cross-attention to the rows that have encoder states."""
        if layer.cross_norm is None or layer.cross_q is None or layer.cross_out is None:
            return x
        conditional = [(i, cross[number]) for i, row in enumerate(rows) if (cross := self.cross[row]) is not None]
        places = torch.tensor([i * count + j for i, _ in conditional for j in range(count)], device=self._device)
        apart = self._apart and count == 1
        q = layer.cross_q(layer_norm(x[places], layer.cross_norm), apart=apart).view(
            len(conditional), count, -1, self._width
        )
        attended = torch.cat([self._attend(q[i], k, v) for i, (_, (k, v)) in enumerate(conditional)])
        return x.index_add(0, places, layer.cross_out(attended, apart=apart).float())

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
        """``q`` (n, heads, width) to ``k``, ``v`` (heads, T, width) -> (n, H); ``causal``: q are the last n."""
        mask = None
        if causal:
            mask = torch.ones(q.shape[0], k.shape[1], dtype=torch.bool, device=q.device).tril(k.shape[1] - q.shape[0])
        out = functional.scaled_dot_product_attention(q.transpose(0, 1)[None], k[None], v[None], attn_mask=mask)
        return out[0].transpose(0, 1).reshape(q.shape[0], -1)

    def _split(self, x: Tensor) -> Tensor:
        """(S, H) -> (heads, S, width)."""
        return x.view(len(x), -1, self._width).transpose(0, 1).contiguous()

    def _tensor(self, values: Floats) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _codes(self, codes: Codes) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(codes, dtype=np.int64)).to(self._device)


@contextmanager
def computing() -> Iterator[None]:
    """Compute without gradients; raises MemoryError for a full GPU, as for full main memory."""
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MemoryError(str(error)) from error


def layer_norm(x: Tensor, norm: Norm) -> Tensor:
    """Normalise over the last dimension."""
    return functional.layer_norm(x, (x.shape[-1],), *norm, EPSILON)

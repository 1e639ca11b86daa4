"""The layers of EnCodec's decoder as products of matrices.

Rows are moments in time, and the channels of one moment lie together. Then a convolution is a product with overlapping
rows: output row t takes ``taps`` rows from t on. A transposed convolution whose kernel is twice its stride takes two
rows, and returns ``stride`` rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from bridge.engines.musicgen.decoder.interface import Floats
from bridge.errors import EngineUnavailable

_WANTED = {
    "use_causal_conv": False,
    "num_residual_layers": 1,
    "use_conv_shortcut": False,
    "kernel_size": 7,
    "last_kernel_size": 7,
    "norm_type": "weight_norm",
    "normalize": False,
    "pad_mode": "reflect",
    "residual_kernel_size": 3,
    "audio_channels": 1,
    "chunk_length": None,
}
"""The configuration of every MusicGen's codec; other configurations are decoded differently."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution, its weight norm folded in."""

    weights: torch.Tensor
    """(columns, taps, channels), float32."""
    bias: torch.Tensor
    """(columns,)"""


@dataclass(frozen=True, slots=True)
class Level:
    """Turns one row into ``stride`` rows, then adds a residual block."""

    stride: int
    up: Convolution
    """(stride * channels, 2, channels before)"""
    narrow: Convolution
    """(channels / 2, 3, channels)"""
    widen: Convolution
    """(channels, 1, channels / 2)"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What decoding in parts has to know of the layers; all but ``hop`` and the widths are counted in codes."""

    hop: int
    """Frames of audio per code."""
    embedding: int
    """Width of the embedding of a code."""
    hidden: int
    """Width of the LSTM."""
    lstm_layers: int
    """Layers of the LSTM."""
    ahead: int
    """How many codes the first convolution looks ahead, and back."""
    before: int
    """How many rows of the LSTM's output the levels look back, and (``after``) ahead."""
    after: int


@dataclass(frozen=True, slots=True)
class DecoderLayers:
    """EnCodec's decoder (Défossez et al. 2022, arXiv:2210.13438, section 3.1) as MusicGen uses it."""

    first: Convolution
    lstm: torch.nn.LSTM
    """The model's own, of any type."""
    levels: tuple[Level, ...]
    last: Convolution

    def sizes(self) -> Sizes:
        """Return what decoding in parts has to know."""
        before, after = self._reach()
        return Sizes(
            hop=math.prod(level.stride for level in self.levels),
            embedding=int(self.first.weights.shape[2]),
            hidden=int(self.lstm.hidden_size),
            lstm_layers=int(self.lstm.num_layers),
            ahead=int(self.first.weights.shape[1]) // 2,
            before=before,
            after=after,
        )

    def _reach(self) -> tuple[int, int]:
        """Trace the first and the last frame of a code's audio back to the rows that they depend on."""
        half = int(self.last.weights.shape[1]) // 2
        first, last = -half, half - 1  # of the code at 0; of the one before it
        for level in reversed(self.levels):
            cut = level.stride - level.stride // 2  # rows dropped at the beginning
            first = -((level.stride * 2 - 1 - cut - (first - 1)) // level.stride)
            last = (last + 1 + cut) // level.stride
        return -first, last + 1


class Layers(Protocol):
    """An implementation of these layers. It may be used by one thread at a time."""

    @property
    def description(self) -> str:
        """What computes, and its precision: "AVX512_BF16 kernel, bfloat16"."""
        ...

    def lstm(self, parts: list[LstmPart]) -> list[Floats]:
        """First convolution and LSTM: (take, hidden) of each part. Updates the parts' states."""
        ...

    def decode(self, parts: list[Floats]) -> list[Floats]:
        """Levels and last convolution: (rows, hidden) becomes audio (rows * hop,)."""
        ...


@dataclass(frozen=True, slots=True)
class LstmPart:
    """A part of one sound: the input of the LSTM."""

    inputs: Floats
    """(rows, channels)"""
    skip: int
    """Rows before those that are taken, as context for the convolution alone."""
    take: int
    """Rows whose output is wanted."""
    state: Floats
    """(LSTM layers, 2, hidden): h and c, which ``Layers.lstm`` updates."""


def read_layers(model: Any) -> DecoderLayers:
    """Take the decoder out of transformers' EncodecModel, in float32.

    Raises EngineUnavailable for an EnCodec that no MusicGen has.
    """
    config = model.config
    other = [name for name, value in _WANTED.items() if getattr(config, name, value) != value]
    if other:
        raise EngineUnavailable(
            f"this model's codec is not the one of a MusicGen ({other[0]} = {getattr(config, other[0])!r}): "
            "point BRIDGE_MODEL at a MusicGen, or set it to small"
        )
    layers = model.decoder.layers  # convolution, LSTM, then ELU, up, residual per level, then ELU, convolution
    with torch.no_grad():
        levels = tuple(_level(layers[i + 1].conv, layers[i + 2].block) for i in range(2, len(layers) - 2, 3))
        return DecoderLayers(_convolution(layers[0]), layers[1].lstm, levels, _convolution(layers[-1]))


def _level(up: torch.nn.ConvTranspose1d, block: Any) -> Level:
    stride = int(up.stride[0])
    before, channels, taps = up.weight.shape
    if taps != 2 * stride or stride < 2:
        raise EngineUnavailable(f"this model's codec has a kernel of {taps} for a stride of {stride}; copy it again")
    # of the two rows, the older one is multiplied with the later half of the kernel
    halves = up.weight.detach().float().reshape(before, channels, 2, stride).flip(2)
    weights = halves.permute(3, 1, 2, 0).reshape(stride * channels, 2, before)
    bias = torch.zeros(channels) if up.bias is None else up.bias.detach().float()
    return Level(
        stride, Convolution(weights.contiguous(), bias.repeat(stride)), _convolution(block[1]), _convolution(block[3])
    )


def _convolution(layer: Any) -> Convolution:
    conv = layer.conv
    return Convolution(
        conv.weight.detach().float().permute(0, 2, 1).contiguous(),  # .weight is what weight norm computes
        conv.bias.detach().float().contiguous(),
    )

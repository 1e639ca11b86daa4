"""EnCodec's decoder in torch: for any device, and for CPUs where the kernel could not be built."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional

from bridge.engines.musicgen.codec._layers import Convolution, DecoderLayers, Layers, LstmPart
from bridge.engines.musicgen.decoder.interface import Floats


class TorchLayers(Layers):
    """The layers as matrix products of torch: for a short part, twice as quick on a CPU as torch's convolutions."""

    def __init__(self, layers: DecoderLayers, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._taps = (int(layers.first.weights.shape[1]), int(layers.last.weights.shape[1]))
        self._first = self._product(layers.first)
        self._lstm = copy.deepcopy(layers.lstm).requires_grad_(False).to(device, dtype)
        self._lstm.flatten_parameters()  # makes them contiguous on CUDA; elsewhere this does nothing
        self._levels = [
            (level.stride, self._product(level.up), self._product(level.narrow), self._product(level.widen))
            for level in layers.levels
        ]
        self._last = self._product(layers.last)

    @property
    def description(self) -> str:
        """What computes, and its precision."""
        return f"torch on {self._device.type}, {str(self._dtype).removeprefix('torch.')}"

    def lstm(self, parts: list[LstmPart]) -> list[Floats]:
        """First convolution and LSTM."""
        with torch.inference_mode():
            return [self._lstm_part(part) for part in parts]

    def decode(self, parts: list[Floats]) -> list[Floats]:
        """Levels and last convolution."""
        with torch.inference_mode():
            return [self._decode_part(self._tensor(part)).float().cpu().numpy() for part in parts]

    def _lstm_part(self, part: LstmPart) -> Floats:
        rows = _convolve(_mirror(self._tensor(part.inputs), self._taps[0] // 2), *self._first)
        rows = rows[part.skip : part.skip + part.take]
        h, c = self._tensor(part.state).unbind(1)
        after, (h, c) = self._lstm(rows, (h.contiguous(), c.contiguous()))
        part.state[:] = torch.stack([h, c], dim=1).float().cpu().numpy()
        made: Floats = (after + rows).float().cpu().numpy()
        return made

    def _decode_part(self, hidden: torch.Tensor) -> torch.Tensor:
        rows = functional.elu(hidden)
        for stride, up, narrow, widen in self._levels:
            both = functional.pad(rows, (0, 0, 1, 1))
            made = _convolve(both, *up).reshape(-1, widen[0].shape[0])
            whole = made[stride - stride // 2 : made.shape[0] - stride // 2]
            block = functional.elu_(_convolve(_mirror(functional.elu(whole), 1), *narrow))
            rows = functional.elu_(functional.linear(block, *widen).add_(whole))
        return _convolve(_mirror(rows, self._taps[1] // 2), *self._last)[:, 0]

    def _product(self, layer: Convolution) -> tuple[torch.Tensor, torch.Tensor]:
        return layer.weights.flatten(1).to(self._device, self._dtype), layer.bias.to(self._device, self._dtype)

    def _tensor(self, values: Floats) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device, self._dtype)


def _convolve(rows: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    channels, depth = rows.shape[1], weights.shape[1]
    overlapping = (rows.shape[0] - depth // channels + 1, depth)
    return functional.linear(rows.contiguous().as_strided(overlapping, (channels, 1)), weights, bias)


def _mirror(rows: torch.Tensor, pad: int) -> torch.Tensor:
    """Reflect ``pad`` rows at both ends; too few rows are extended with zeros first, which are cut off again."""
    missing = max(0, pad + 1 - rows.shape[0])
    columns = functional.pad(rows.T, (0, missing))
    mirrored = functional.pad(columns[None], (pad, pad), mode="reflect")[0]
    return mirrored[:, : mirrored.shape[1] - missing].T

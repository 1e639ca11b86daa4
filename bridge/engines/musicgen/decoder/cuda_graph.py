"""The decoder on a GPU: a whole step, drawing included, is one captured CUDA graph that needs nothing from the host.

With few rows a step is many small kernels, and launching them one by one takes longer than running them. A graph is
captured for a number of rows, a reach of the self-attention and a length of the encoder states, each rounded up, when
it is first needed.

A step computes the rows 0 .. n - 1; rows without an input write to a last position that is never read. So the batch
admits requests to the lowest rows. A row's scores may depend on n in the last bits: on a GPU the same seed gives the
same codes only for the same captured sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bridge.engines.musicgen.decoder.drawing import PendingCodes, StepInput
from bridge.engines.musicgen.decoder.interface import Codes, DecoderShape, DecoderWeights, Floats
from bridge.engines.musicgen.decoder.torch_step import Layer, TorchDecoder, computing, layer_norm, load_network

_ROWS: Final = (1, 2, 4, 8, 16, 32)
_REACHES: Final = (256, 512, 1024, 2048)
_CROSS_LENGTHS: Final = (16, 64, 512)
_ALIGNED: Final = 64  # positions; the quick attention kernels need whole blocks
_IN_FLIGHT: Final = 3  # steps whose buffers are in use at a time, one more than the batch keeps in flight
_SCALARS: Final = 8  # numbers of a row in addition to those of its codebooks
_OFF: Final = 2.0


class GraphDecoder:
    """``DrawingDecoder`` by captured graphs.

    Without ``capture`` it runs the same step call by call, for tests on a CPU.
    """

    def __init__(self, plain: TorchDecoder, *, max_steps: int, device: str, capture: bool) -> None:
        """``plain`` holds more positions than the ``max_steps`` of a row; ``device`` is torch's name for it."""
        self._plain = plain
        self._max_steps = max_steps
        self._device = device
        shape = plain.shape
        self._width = shape.hidden // shape.heads
        self._cross_kv = torch.zeros(
            plain.rows if shape.cross else 0, shape.layers, 2, shape.heads, _CROSS_LENGTHS[-1], self._width,
            dtype=plain.network.embed.dtype, device=device,
        )  # fmt: skip
        # without encoder states the length is 1: one key, all zeros
        self._cross_lengths = torch.ones(plain.rows, dtype=torch.long, device=device)
        self._cross_length_of = [1] * plain.rows
        size = (plain.rows, 2 * shape.codebooks + _SCALARS)
        self._inputs = torch.zeros(size, dtype=torch.float64, device=device)
        self._host_inputs = [torch.zeros(size, dtype=torch.float64, pin_memory=capture) for _ in range(_IN_FLIGHT)]
        self._drawn = torch.zeros(plain.rows, shape.codebooks, dtype=torch.long, device=device)
        self._host_codes = [torch.zeros_like(self._drawn, device="cpu", pin_memory=capture) for _ in range(_IN_FLIGHT)]
        self._scores = torch.zeros(plain.rows, shape.codebooks, shape.vocabulary, device=device)
        self._number = 0
        self._graphs: _Graphs | None = _Graphs() if capture else None
        # a stream of its own, of a higher priority than the codec's; inputs and outputs are arrays on the host
        self._stream = torch.cuda.Stream(priority=-1) if capture else None

    @classmethod
    def load(
        cls,
        weights: DecoderWeights,
        *,
        rows: int,
        max_steps: int,
        device: str = "cuda",
        precision: str = "bfloat16",
        capture: bool = True,
    ) -> GraphDecoder:
        """Read the weights, "bfloat16", "float16" or "float32". Raises EngineUnavailable, or MemoryError."""
        with computing():
            positions = (max_steps // _ALIGNED + 1) * _ALIGNED
            network = load_network(weights, positions, device, precision)
            plain = TorchDecoder(network, rows=rows, max_steps=positions, device=device, precision=precision)
            decoder = cls(plain, max_steps=max_steps, device=device, capture=capture)
        if capture:  # the graphs of a single request, so that the first request does not wait for them
            torch.cuda.synchronize()
            with decoder._computing():
                for reach in _REACHES:
                    decoder._compute_or_replay(min(2, rows), min(reach, positions), _CROSS_LENGTHS[0])
        return decoder

    @property
    def shape(self) -> DecoderShape:
        """Sizes."""
        return self._plain.shape

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self._plain.rows

    @property
    def max_steps(self) -> int:
        """Positions a row can hold."""
        return self._max_steps

    @property
    def description(self) -> dict[str, str]:
        """What it runs on."""
        how = "step by step" if self._graphs is None else "CUDA graphs"
        return {**self._plain.description, "kernel": f"{how}, torch {torch.__version__}"}

    def begin(self, row: int, encoder_states: Floats | None) -> None:
        """Clear the row's KV cache, and let it cross-attend to ``encoder_states`` (S, H)."""
        with self._computing():
            self._plain.begin(row, encoder_states)
            self._plain.kv_cache[row].zero_()  # NaN and infinity would pass through any mask
            cross, self._plain.cross[row] = self._plain.cross[row], None
            length = 1
            if self.shape.cross:
                self._cross_kv[row].zero_()
            if cross is not None:
                length = min(cross[0][0].shape[1], _CROSS_LENGTHS[-1])
                for number, (k, v) in enumerate(cross):
                    self._cross_kv[row, number, 0, :, :length] = k[:, :length]
                    self._cross_kv[row, number, 1, :, :length] = v[:, :length]
                self._plain.cross[row] = cross  # prompts are prefilled by the plain decoder
            self._cross_lengths[row] = self._cross_length_of[row] = length

    def embed(self, codes: Codes) -> Floats:
        """Codes (T, K) -> inputs (T, H)."""
        with self._computing():
            return self._plain.embed(codes)

    def prefill(self, row: int, inputs: Floats) -> None:
        """Append T positions at once."""
        with self._computing():
            self._plain.prefill(row, inputs)

    def step(self, rows: Sequence[int], codes: Codes) -> Floats:
        """Append a position to each of ``rows``; ``codes`` (n, K) -> scores (n, K, V)."""
        nothing = np.zeros(self.shape.codebooks)
        self.draw(
            [StepInput([row], given, nothing, 1.0, 1, _OFF, 1.0) for row, given in zip(rows, codes, strict=True)]
        )()
        with self._computing():
            scores: Floats = self._scores[list(rows)].cpu().numpy()
        return scores

    def draw(self, inputs: Sequence[StepInput]) -> PendingCodes:
        """Append a position to the rows of each input, and draw; see ``DrawingDecoder``."""
        filled = self._plain.filled
        rows = [row for each in inputs for row in each.rows]
        reach = 1 + max(filled[row] for row in rows)
        if reach > self.max_steps:
            raise ValueError(f"a row holds {self.max_steps} positions and {reach} are asked for")
        self._number += 1
        host_inputs = self._host_inputs[self._number % _IN_FLIGHT]
        host_codes = self._host_codes[self._number % _IN_FLIGHT]
        self._write(host_inputs.numpy(), inputs)
        with self._computing():
            self._inputs.copy_(host_inputs, non_blocking=True)
            self._compute_or_replay(
                _rounded(1 + max(rows), _ROWS, self.rows),
                _rounded(reach, _REACHES, self._plain.max_steps),
                _rounded(max(self._cross_length_of[row] for row in rows), _CROSS_LENGTHS, _CROSS_LENGTHS[-1]),
            )
            host_codes.copy_(self._drawn, non_blocking=True)
            ready = torch.cuda.Event() if self._graphs is not None else None
            if ready is not None:
                ready.record()
        for row in rows:
            filled[row] += 1
        owners = [each.rows[0] for each in inputs]

        def drawn() -> Codes:
            if ready is not None:
                ready.synchronize()
            codes: Codes = host_codes.numpy()[owners].astype(np.int32)
            return codes

        return drawn

    def close(self) -> None:
        """Free the memory."""
        self._graphs = None
        self._plain.close()
        self._cross_kv = self._scores = torch.empty(0)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with computing(), nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            yield

    def _write(self, host_inputs: Floats, inputs: Sequence[StepInput]) -> None:
        """Write the inputs of each row; ``_compute`` reads them in the same order."""
        codebooks = self.shape.codebooks
        host_inputs[:] = 0
        idle = host_inputs[:, 2 * codebooks :]
        all_rows = np.arange(self.rows)
        # position, temperature, top-k, top-p, guidance, the unconditional row, the row whose codes this row reads
        idle[:, :7] = np.stack(
            np.broadcast_arrays(self._plain.max_steps - 1, 1.0, 1, _OFF, 1.0, all_rows, all_rows), axis=1
        )
        for each in inputs:
            for row in each.rows:
                host_inputs[row, :codebooks] = each.given
                host_inputs[row, codebooks : 2 * codebooks] = each.uniform
                host_inputs[row, 2 * codebooks : 2 * codebooks + 7] = (
                    self._plain.filled[row], each.temperature, each.top_k, each.top_p, each.guidance, each.rows[-1],
                    each.rows[0],
                )  # fmt: skip

    def _compute_or_replay(self, rows: int, reach: int, cross_length: int) -> None:
        if self._graphs is None:
            self._compute(rows, reach, cross_length)
            return
        self._graphs.replay((rows, reach, cross_length), lambda: self._compute(rows, reach, cross_length), self._drawn)

    def _compute(self, rows: int, reach: int, cross_length: int) -> None:
        """Run a step of the first ``rows`` rows on the device, with a self-attention over ``reach`` positions."""
        network, codebooks = self._plain.network, self.shape.codebooks
        inputs = self._inputs[:rows]
        given = inputs[:, :codebooks].long()
        codes = torch.where(given < 0, self._drawn[:rows].clamp_min(0), given)
        at = inputs[:, 2 * codebooks].long()
        x = network.inputs(codes) + network.positions[at]
        self_mask = self._mask(torch.arange(reach, device=self._device) <= at[:, None])
        cross_mask = self._mask(torch.arange(cross_length, device=self._device) < self._cross_lengths[:rows, None])
        for number, layer in enumerate(network.layers):
            qkv = layer.qkv(layer_norm(x, layer.self_norm)).view(rows, 3, -1, 1, self._width)
            kv = self._plain.kv_cache[:rows, number]  # (rows, 2, heads, positions, width)
            new = qkv[:, 1:]
            kv.scatter_(3, at.view(rows, 1, 1, 1, 1).expand_as(new), new)
            x = x + layer.self_out(_attend(qkv[:, 0], kv[..., :reach, :], self_mask))
            x = self._cross_attention(layer, number, x, cross_length, cross_mask)
            x = x + layer.fc2(functional.gelu(layer.fc1(layer_norm(x, layer.ffn_norm))))
        scores = network.heads(layer_norm(x, network.norm)).view(rows, codebooks, -1).float()
        self._scores[:rows] = scores
        self._drawn[:rows] = _drawn(scores, inputs[:, codebooks:])

    def _mask(self, allowed: Tensor) -> Tensor:
        """``allowed`` (n, T) -> the additive attention mask, computed once for all layers, (n, 1, 1, T)."""
        closed = torch.where(allowed, 0.0, -torch.inf)
        return closed.to(self._plain.network.embed.dtype)[:, None, None]

    def _cross_attention(self, layer: Layer, number: int, x: Tensor, cross_length: int, cross_mask: Tensor) -> Tensor:
        if layer.cross_norm is None or layer.cross_q is None or layer.cross_out is None:
            return x
        q = layer.cross_q(layer_norm(x, layer.cross_norm)).view(len(x), -1, 1, self._width)
        return x + layer.cross_out(_attend(q, self._cross_kv[: len(x), number, :, :, :cross_length], cross_mask))


class _Graphs:
    """Captured graphs by their sizes; they share one memory pool."""

    def __init__(self) -> None:
        self._captured: dict[tuple[int, int, int], torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def replay(self, sizes: tuple[int, int, int], compute: Callable[[], None], drawn: Tensor) -> None:
        """Run the graph of these sizes; capture ``compute`` when there is none. ``drawn`` is read and written by it."""
        graph = self._captured.get(sizes)
        if graph is None:
            before = drawn.clone()
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):  # libraries allocate their workspaces in the first call
                compute()
            torch.cuda.current_stream().wait_stream(aside)
            drawn.copy_(before)
            graph = torch.cuda.CUDAGraph()
            # other threads may run the codec and the text encoder meanwhile
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                compute()
            self._captured[sizes] = graph
        graph.replay()


def _attend(q: Tensor, keys_values: Tensor, mask: Tensor) -> Tensor:
    """``q`` (n, heads, 1, width), ``keys_values`` (n, 2, heads, T, width), ``mask`` (n, 1, 1, T) -> (n, H)."""
    out = functional.scaled_dot_product_attention(q, keys_values[:, 0], keys_values[:, 1], attn_mask=mask)
    return out.reshape(len(q), -1)


def _drawn(scores: Tensor, inputs: Tensor) -> Tensor:
    """Draw for each row: ``scores`` (n, K, V), ``inputs`` (n, K + 8: random numbers, then as written) -> (n, K).

    The same as ``sampling.pick``, for all rows at once and over sorted codes; rows of one request get the same codes.
    """
    codebooks = scores.shape[1]
    uniform = inputs[:, :codebooks, None]
    temperature, top_k, top_p, guidance = inputs[:, codebooks + 1 : codebooks + 5, None, None].unbind(1)
    other, owner = inputs[:, codebooks + 5].long(), inputs[:, codebooks + 6].long()
    unconditional = scores[other]
    moved = unconditional + guidance.float() * (scores - unconditional)
    ordered, codes = (moved / temperature.float()).sort(dim=-1, descending=True)
    chances = (ordered - ordered[..., :1]).exp()
    chances = chances * (torch.arange(scores.shape[-1], device=scores.device) < top_k)
    chances = chances / chances.sum(-1, keepdim=True)
    before = chances.cumsum(-1) - chances
    sums = (chances * (before < top_p)).cumsum(-1, dtype=torch.float64)
    place = (sums <= uniform * sums[..., -1:]).sum(-1, keepdim=True).clamp_max(scores.shape[-1] - 1)
    drawn = codes.gather(-1, place)[..., 0]
    right = moved.isfinite().all(-1).all(-1)[:, None]
    return torch.where(right, drawn, -1)[owner]


def _rounded(size: int, steps: Sequence[int], most: int) -> int:
    """Return the first of ``steps`` that is large enough, at most ``most``."""
    return min(next((step for step in steps if step >= size), most), most)

"""How long EnCodec takes to turn codes into sound, in parts as they come, and how far from float32 it is.

The codec of facebook/musicgen-* built from configuration, with normal numbers in its codebooks and no biases in its
convolutions, which would else be most of what is heard. All in turn, on two threads, in blocks that count when others
leave the machine alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.benchmarks._figure import Figure, Skipped
from tests.benchmarks._musicgen_model import FRAMES_A_SECOND, SEED, small_config
from tests.benchmarks._quiet import Blocks, measured

SECONDS = 5
PIECE = 25
"""Codes decoded at a time: half a second."""
FIRST = 29
"""Codes of the first half second: four more than are heard."""
_BLOCK_SECONDS = 0.4
_MOST_SECONDS = 60.0


async def measure() -> dict[str, Figure]:
    """Measure all ways to decode that this machine has."""
    try:
        import torch
    except ImportError as error:
        raise Skipped("torch and transformers are not installed: make torch") from error
    torch.set_num_threads(2)
    model = codec_model()
    ways = ways_to_decode(model)
    codes = np.random.default_rng(SEED).integers(0, 2048, (SECONDS * FRAMES_A_SECOND, 4), dtype=np.int32)
    whole = torch.from_numpy(codes.T.astype(np.int64))[None, None]

    def reference() -> Any:
        with torch.inference_mode():
            return model.decode(whole, [None]).audio_values[0].numpy()

    wanted = reference()
    figures: dict[str, Figure] = {}
    for name, codec in ways.items():
        noise = np.sqrt(np.mean((decoded(codec, codes) - wanted) ** 2)) / wanted.std()
        figures[f"{name}: noise"] = Figure(
            20 * float(np.log10(noise)), "dB", note="against the sound, whole in float32"
        )

    works: dict[str, Callable[[], Any]] = {"transformers float32": reference}
    for name, codec in ways.items():
        works[name] = lambda codec=codec: decoded(codec, codes)
    quickest = next(iter(ways))
    works["first"] = lambda: ways[quickest].decoding().push(codes[:FIRST])
    works["eight"] = lambda: eight_together(ways[quickest], codes)
    took = measured({name: _timed(work) for name, work in works.items()}, blocks=3, most_seconds=_MOST_SECONDS)
    for name in ("transformers float32", *ways):
        figures[f"{name}: {SECONDS} s"] = _milliseconds(took[name], 250 if name == quickest else None)
    figures[f"{quickest}: first half second"] = _milliseconds(took["first"], 30)
    per_second = Blocks([replace(block, value=block.value / (8 * SECONDS)) for block in took["eight"].all])
    figures[f"{quickest}: eight together, a second of each"] = _milliseconds(per_second, 50)
    return figures


def codec_model() -> Any:
    """Return transformers' EncodecModel of the real size."""
    import torch
    import transformers

    torch.manual_seed(SEED)
    model = transformers.EncodecModel(small_config().audio_encoder).eval()
    with torch.no_grad():
        for layer in model.quantizer.layers:
            layer.codebook.embed.normal_()
        for name, weights in model.decoder.named_parameters():
            if "bias" in name and "lstm" not in name:
                weights.zero_()
    return model


def ways_to_decode(model: Any) -> dict[str, Any]:
    """Return a StreamingCodec for each way that this machine has, the quickest one first."""
    import torch

    from bridge.engines.musicgen.codec import StreamingCodec
    from bridge.engines.musicgen.codec._layers import read_layers
    from bridge.engines.musicgen.codec._native_layers import native_layers
    from bridge.engines.musicgen.codec._together import Together
    from bridge.engines.musicgen.codec._torch_layers import TorchLayers

    layers, cpu, ways = read_layers(model), torch.device("cpu"), {}
    for name, made in {
        "kernel bfloat16": native_layers(layers, "bfloat16", threads=2),
        "kernel float32": native_layers(layers, "float32", threads=2),
        "torch bfloat16": TorchLayers(layers, cpu, torch.bfloat16),
        "torch float32": TorchLayers(layers, cpu, torch.float32),
    }.items():
        if not isinstance(made, str) and name.split()[1] in made.description:
            ways[name] = StreamingCodec(model, threads=2)
            ways[name]._together = Together(made)
    return ways


def decoded(codec: Any, codes: Any) -> Any:
    """Decode a sound as it comes: (1, frames)."""
    stream = codec.decoding()
    pieces = [stream.push(codes[at : at + PIECE]) for at in range(0, len(codes), PIECE)]
    return np.concatenate([*pieces, stream.finish()], axis=1)


def eight_together(codec: Any, codes: Any) -> None:
    """Decode eight sounds on eight threads."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: decoded(codec, codes), range(8)))


def _timed(work: Callable[[], Any]) -> Callable[[], float]:
    def seconds() -> float:
        began, runs = time.perf_counter(), 0
        while runs == 0 or time.perf_counter() - began < _BLOCK_SECONDS:
            work()
            runs += 1
        return (time.perf_counter() - began) / runs

    return seconds


def _milliseconds(blocks: Blocks, bar: float | None) -> Figure:
    return Figure(1e3 * blocks.value, "ms", bar, note=blocks.note, void="NOISY" in blocks.note)

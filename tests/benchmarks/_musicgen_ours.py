"""Part of the MusicGen benchmark: our engine, from words to audio.

``python -P -m tests.benchmarks._musicgen_ours FOLDER whole|cuda|growth|sizes|quality``
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bridge.engines.musicgen import MusicGenEngine
from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from bridge.plugins.engine import Engine
from prompts import Kind, SampleSpec
from tests.benchmarks._figure import median
from tests.benchmarks._musicgen_model import PROMPT, SIZES, RandomWeights, say
from tests.benchmarks._musicgen_steps import Ours, distance
from tests.benchmarks._quiet import measured

SECONDS = 5.0
TOGETHER = {"cpu": (1, 4, 8), "cuda": (1, 16)}
DURATIONS = (1, 2, 5, 10, 20, 30)
BATCHES = (1, 2, 4, 8, 16, 32)
LAYERS = (4, 12)
"""Medium and large are timed with so many layers each; a layer more costs what lies between them."""
MODES = ("draft", "balanced", "high")
_POSITION = 100
_ASKED = itertools.count()
_STEPS = 12


def main(folder: Path, part: str) -> None:
    """Measure one part."""
    parts = {
        "whole": _whole,
        "cuda": partial(_whole, device="cuda"),
        "growth": _growth,
        "sizes": _sizes,
        "quality": _quality,
    }
    parts[part](folder)


def _whole(folder: Path, device: str = "cpu") -> None:
    """Samples of 5 s, alone and together; and how long it takes until the first half second can be heard."""
    engine = open_engine(folder, device)
    _first(engine)
    works = {str(count): partial(make, engine, count) for count in TOGETHER[device]}
    timed = measured({"first": partial(_first, engine), **works}, blocks=3, most_seconds=80)
    facts = {name: each.as_dict() for name, each in timed.items()}
    say(**facts, info={"kernel": engine.info.kernel, "precision": engine.info.precision})


def _growth(folder: Path) -> None:
    """Whole sounds of several lengths, and a step with more and more samples in it."""
    engine = open_engine(folder)
    _first(engine)
    works = {str(seconds): partial(make, engine, 1, float(seconds)) for seconds in DURATIONS}
    durations = measured(works, blocks=1, most_seconds=1)
    _close(engine)
    decoder = KernelDecoder.load(RandomWeights(SIZES["small"]), rows=2 * max(BATCHES), max_steps=256)
    steps = measured({str(count): partial(_step, decoder, 2 * count) for count in BATCHES}, blocks=3, most_seconds=20)
    say(
        durations={name: each.as_dict() for name, each in durations.items()},
        batches={name: each.as_dict() for name, each in steps.items()},
    )


def _sizes(folder: Path) -> None:
    """A step of one sample in each size."""
    facts: dict[str, Any] = {}
    for name, shape in SIZES.items():
        counts = LAYERS if shape.layers > LAYERS[-1] * 2 else (shape.layers,)
        sized = [type(shape)(layers, *_rest(shape), cross=True) for layers in counts]
        decoders = [KernelDecoder.load(RandomWeights(each), rows=2, max_steps=256) for each in sized]
        works = {str(each.shape.layers): partial(_step, each, 2) for each in decoders}
        timed = list(measured(works, blocks=3, most_seconds=15).values())
        values = [each.value for each in timed]
        for each in decoders:
            each.close()
        if len(values) > 1:
            layer = (values[1] - values[0]) / (counts[1] - counts[0])
            values = [values[1] + (shape.layers - counts[1]) * layer]
        facts[name] = {"value": values[0], "layers": list(counts), "of": shape.layers, "note": timed[-1].note}
    say(**facts)


def _quality(folder: Path) -> None:
    """What each precision is off by, and what the three quality modes cost."""
    reference = np.load(folder / "reference.npz")
    facts: dict[str, Any] = {}
    for precision in ("int4", "int8", "bfloat16", "float32"):
        ours = Ours(folder, precision)
        facts[precision] = distance(reference["codes"], reference["scores"], ours)
        ours.close()
    engine = open_engine(folder)
    for mode in MODES:  # the first request loads what the mode needs
        make(engine, 1, 0.5, mode)
    timed = measured({mode: partial(make, engine, 1, 2.0, mode) for mode in MODES}, blocks=3, most_seconds=45)
    say(**facts, modes={name: each.as_dict() for name, each in timed.items()})


def open_engine(folder: Path, device: str = "cpu") -> Engine:
    """Load our engine; what it keeps, it keeps in the model's folder."""
    return MusicGenEngine(model=str(folder), device=device, data_dir=folder / "data")


def make(engine: Engine, count: int, seconds: float = SECONDS, mode: Any = "balanced") -> float:
    """Seconds until so many samples are there that were asked for at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda seed: list(engine.stream(_spec(seed, mode), seconds, _heard)), range(count)))
    return time.perf_counter() - began


def _first(engine: Engine) -> float:
    """Seconds until the first piece can be heard; median of three requests."""
    took = []
    for seed in range(3):
        time.sleep(0.1)  # the request before has left after its last step
        began = time.perf_counter()
        with contextlib.closing(engine.stream(_spec(seed, "balanced"), SECONDS, _heard)) as pieces:  # type: ignore[type-var]
            first = next(pieces)
            took.append(time.perf_counter() - began)
        if first.seconds < 0.5:
            raise RuntimeError(f"the first piece is only {first.seconds:g} s long")
    return median(took)


def _spec(seed: int, mode: Any) -> SampleSpec:
    """Ask for the words in another order each time: what was encoded before is remembered."""
    words = np.random.default_rng(next(_ASKED)).permutation(PROMPT.split())
    return SampleSpec(prompt=" ".join(words), kind=Kind.RAW, seed=seed, engine="musicgen", quality_mode=mode)


def _heard(progress: float) -> None:
    """Nobody cancels."""


def _step(decoder: KernelDecoder, rows: int) -> float:
    """Median seconds of a step with so many rows, half of which cross-attend to a prompt of 12 tokens."""
    shape = decoder.shape
    random = np.random.default_rng(1)
    past = decoder.embed(random.integers(0, shape.vocabulary, (_POSITION, shape.codebooks), dtype=np.int32))
    states = random.standard_normal((12, shape.hidden), np.float32)
    for row in range(rows):
        decoder.begin(row, None if row % 2 else states)
        decoder.prefill(row, past)
    took = []
    for _ in range(_STEPS):
        codes = random.integers(0, shape.vocabulary, (rows, shape.codebooks), dtype=np.int32)
        began = time.perf_counter()
        decoder.step(range(rows), codes)
        took.append(time.perf_counter() - began)
    return median(took)


def _rest(shape: Any) -> tuple[int, ...]:
    return (shape.hidden, shape.heads, shape.ffn, shape.vocabulary, shape.codebooks, shape.positions)


def _close(engine: Any) -> None:
    engine._engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

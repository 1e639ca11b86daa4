"""Part of the MusicGen benchmark: one step of one sample with guidance, ours and others', in turn in one process.

``python -P -m tests.benchmarks._musicgen_steps FOLDER`` with what ``_musicgen_export`` wrote there. Every decoder first
goes through ``reference.npz``, so that none is timed that computes something else. Memory bandwidth is asked before
and after each block: on a rented machine it changes by the hour.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bridge.engines.musicgen.decoder.interface import Codes, Floats
from tests.benchmarks._bandwidth import bandwidth
from tests.benchmarks._figure import median
from tests.benchmarks._musicgen_model import SIZES, say, threads
from tests.benchmarks._quiet import measured, ratio

GUIDANCE = 3.0
FIRST, STEPS = 100, 50
"""Steps are timed with so much to look back at: the middle of a 5 s sample."""
_SHAPE = SIZES["small"]


class Contestant(Protocol):
    """A decoder of two rows, a conditional and an unconditional one."""

    def begin(self, codes: Codes) -> None:
        """Clear the KV caches, then prefill codes (T, K); T may be 0."""
        ...

    def step(self, codes: Codes) -> Floats:
        """Take codes (K) for both rows and return scores (2, K, V)."""
        ...


class Ours:
    """The kernel, or torch where there is none."""

    def __init__(self, folder: Path, precision: Any = "int8") -> None:
        from bridge.engines.musicgen.checkpoint import open_checkpoint
        from bridge.engines.musicgen.decoder.kernel import KernelDecoder

        weights = open_checkpoint(folder).decoder_weights()
        self._decoder = KernelDecoder.load(
            weights, precision=precision, rows=2, max_steps=256, keep=folder / "packed"
        )  # fmt: skip
        self._encoder_states = np.load(folder / "reference.npz")["encoder_states"]
        self.description = " ".join(self._decoder.description.values())

    def begin(self, codes: Codes) -> None:
        for row, states in enumerate((self._encoder_states, None)):
            self._decoder.begin(row, states)
            if len(codes):
                self._decoder.prefill(row, self._decoder.embed(codes))

    def step(self, codes: Codes) -> Floats:
        return self._decoder.step((0, 1), np.stack([codes, codes]))

    def close(self) -> None:
        """Free the memory."""
        self._decoder.close()


class OnnxRuntime:
    """Keys and values go in and come out without being copied."""

    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._binding = self._session.io_binding()
        self._past: list[Any] = []
        self._begun: list[Any] = []
        self._position = 0

    def begin(self, codes: Codes) -> None:
        if len(codes) and self._begun:  # what is bound is never written to
            self._past, self._position = self._begun, len(codes)
            return
        nothing = np.zeros((2, _SHAPE.heads, 0, _SHAPE.hidden // _SHAPE.heads), np.float32)
        self._past, self._position = [self._value(nothing) for _ in range(2 * _SHAPE.layers)], 0
        for each in codes:
            self.step(each)
        if len(codes):
            self._begun = self._past

    def step(self, codes: Codes) -> Floats:
        binding = self._binding
        binding.bind_cpu_input("codes", np.stack([codes, codes]).astype(np.int64))
        binding.bind_cpu_input("position", np.array([self._position]))
        binding.bind_output("scores")
        for number, past in enumerate(self._past):
            binding.bind_ortvalue_input(f"past{number}", past)
            binding.bind_output(f"new{number}")
        self._session.run_with_iobinding(binding)
        scores, *self._past = binding.get_outputs()
        self._position += 1
        return scores.numpy()


class OpenVino:
    """Keys and values are the model's own state; no beams, whose reordering gives wrong scores on some processors."""

    def __init__(self, model: Path, precision: str) -> None:
        import openvino

        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads(),
            "INFERENCE_PRECISION_HINT": precision,
            "KV_CACHE_PRECISION": "f16",
        }
        self._copied = lambda tensor: openvino.Tensor(np.array(tensor.data))
        self._request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        self._position = 0
        self._begun: dict[str, Any] = {}

    def begin(self, codes: Codes) -> None:
        if len(codes) and self._begun:
            for state in self._request.query_state():
                state.state = self._begun[state.name]
            self._position = len(codes)
            return
        self._request.reset_state()
        self._position = 0
        for each in codes:
            self.step(each)
        if len(codes):
            self._begun = {state.name: self._copied(state.state) for state in self._request.query_state()}

    def step(self, codes: Codes) -> Floats:
        given = {"codes": np.stack([codes, codes]).astype(np.int64), "position": np.array([self._position])}
        self._position += 1
        scores: Floats = self._request.infer(given, share_inputs=True, share_outputs=True)["scores"]
        return scores


def main(folder: Path) -> None:
    """Check, then time."""
    reference = np.load(folder / "reference.npz")
    checked: dict[str, dict[str, Any]] = {}
    contestants: dict[str, Contestant] = {}
    for name, make in _candidates(folder):
        with _told(checked, name):
            contestant = make()
            checked[name] = distance(reference["codes"], reference["scores"], contestant)
            contestants[name] = contestant
    timed = measured(
        {name: partial(_block, each) for name, each in contestants.items()},
        probe=partial(bandwidth, threads()),
        blocks=5,
        most_seconds=100,
    )
    for name, blocks in timed.items():
        checked[name] |= blocks.as_dict()
        if "ours" in timed:
            checked[name]["ratio"] = ratio(blocks, timed["ours"])
        checked[name]["blocks"] = [(block.value, block.probe, block.others) for block in blocks.best]
    say(**checked)


def distance(codes: Codes, scores: Floats, contestant: Contestant) -> dict[str, float]:
    """Say how far the guided scores of many positions are from the reference's, (T, 2, K, V).

    ``cosine``: smallest and median over the positions; ``kl``: mean over positions and codebooks, in nats.
    """
    contestant.begin(codes[:0])
    cosines, divergences, largest = [], [], 0.0
    for each, wanted in zip(codes, scores, strict=True):
        got = np.array(contestant.step(each), np.float64)
        largest = max(largest, float(np.abs(got - wanted).max()))
        ours, theirs = _guided(got), _guided(wanted.astype(np.float64))
        cosines.append(float((ours * theirs).sum() / np.linalg.norm(ours) / np.linalg.norm(theirs)))
        logs = _log_softmax(theirs)
        divergences.append(float((np.exp(logs) * (logs - _log_softmax(ours))).sum(-1).mean()))
    return {
        "cosine": min(cosines),
        "median_cosine": median(cosines),
        "kl": sum(divergences) / len(divergences),
        "largest": largest,
    }


def _candidates(folder: Path) -> Iterator[tuple[str, Callable[[], Contestant]]]:
    yield "ours", partial(Ours, folder)
    if importlib.util.find_spec("onnxruntime"):
        yield "onnxruntime", partial(OnnxRuntime, folder / "int8.onnx")
    if importlib.util.find_spec("openvino"):
        yield "openvino", partial(OpenVino, folder / "int8.xml", "f32")
        yield "openvino bf16", partial(OpenVino, folder / "int8.xml", "bf16")


def _block(contestant: Contestant) -> float:
    """Median seconds of a step."""
    codes = np.random.default_rng(1).integers(0, _SHAPE.vocabulary, (FIRST + STEPS, _SHAPE.codebooks), dtype=np.int32)
    contestant.begin(codes[:FIRST])
    took = []
    for each in codes[FIRST:]:
        began = time.perf_counter()
        contestant.step(each)
        took.append(time.perf_counter() - began)
    return median(took)


@contextlib.contextmanager
def _told(facts: dict[str, dict[str, Any]], name: str) -> Iterator[None]:
    """Let one that does not run be missing, with its reason."""
    try:
        yield
    except Exception as error:
        facts[name] = {"error": f"{type(error).__name__}: {str(error)[:200]}"}


def _guided(scores: Any) -> Any:
    conditional, unconditional = scores
    return unconditional + GUIDANCE * (conditional - unconditional)


def _log_softmax(scores: Any) -> Any:
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

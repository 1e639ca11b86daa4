"""MusicGen-small of random weights at the real sizes: our engine beside transformers, onnxruntime and OpenVINO.

24 layers, 1024 wide, T5-base, EnCodec at 32 kHz, built from configuration: speed does not depend on what weights are.
Every part runs in a process of its own, and a block of work counts only when other processes took less than 8 % of the
processor meanwhile. Steps are of one sample with guidance (two rows) with 100 to 150 steps to look back at, ours and
others' in turn, with the memory's bandwidth asked before and after each block. onnxruntime and OpenVINO come with
``pip install '.[bench]'``; ``ARGS=--full`` has transformers make all of its 5 s instead of a part of them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]

from tests.benchmarks._bridge import clean_environment
from tests.benchmarks._figure import Figure, Skipped, skipped
from tests.benchmarks._report import ROOT

SECONDS = 5
DISK, MEMORY = 14e9, 9e9
FULL = "BENCH_FULL"
"""Set in the environment: transformers makes all of its 5 s."""
BETWEEN = 48.0
"""GB/s: below, the memory is like a slow one of 36 GB/s, where reading is all that counts; above, like one of 60."""
GPUS = Path("/proc/driver/nvidia/gpus")
_NOT_INSTALLED = "not installed: pip install '.[bench]'"


async def measure() -> dict[str, Figure]:
    """Every part, the baselines first."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise Skipped("torch and transformers are not installed: pip install '.[musicgen]'")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name, "small")
        if shutil.disk_usage(name).free < DISK or psutil.virtual_memory().available < MEMORY:
            raise Skipped(f"{DISK / 1e9:.0f} GB of disk and {MEMORY / 1e9:.0f} GB of memory are needed")
        if "error" in (built := await part("model", folder)):
            raise RuntimeError(built["error"])
        theirs = {
            dtype: await part("reference", folder, dtype, *(["full"] if os.environ.get(FULL) else []))
            for dtype in ("float32", "bfloat16")
        }
        for package, kind in (("onnxruntime", "onnx"), ("openvino", "openvino")):
            if importlib.util.find_spec(package):
                await part("export", folder, kind)
        steps = await part("steps", folder)
        whole, growth = await part("ours", folder, "whole"), await part("ours", folder, "growth")
        sizes, quality = await part("ours", folder, "sizes"), await part("ours", folder, "quality")
        host = await part("host", folder)
        gpu: dict[str, Figure] = {}
        if GPUS.exists():
            eager = await part("reference", folder, "bfloat16", "full", "cuda")
            gpu = _gpu(await part("ours", folder, "cuda"), eager)
    return {
        **_whole(whole, theirs),
        **_steps(steps, theirs),
        **_host(host),
        **_growth(growth, sizes),
        **_quality(quality),
        **gpu,
    }


async def part(name: str, *arguments: object) -> dict[str, Any]:
    """Run ``_musicgen_NAME`` in a process of its own; return what it said, or ``{"error": ...}``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", f"tests.benchmarks._musicgen_{name}", *map(str, arguments)),
        cwd=ROOT,
        # numpy's own threads wait by spinning: the server turns them off for its engines, too
        env=clean_environment()
        | {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    print(f"  {name} {' '.join(map(str, arguments[1:]))}: {out.decode().strip()[-300:]}", flush=True)
    try:
        facts: dict[str, Any] = json.loads(out.decode().strip().rpartition("\n")[2])
    except ValueError:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return {"error": f"{name} ended with exit code {process.returncode}: {last[:200]}"}
    return facts


def _whole(whole: Mapping[str, Any], theirs: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    figures = {}
    for dtype, bar in (("float32", 13.0), ("bfloat16", 5.2)):
        facts = theirs.get(dtype, {})
        figures[f"{SECONDS} s, transformers generate() {dtype}"] = _figure(facts, "whole", "s")
        figures[f"{SECONDS} s, ours in turn with {dtype}"] = Figure(facts.get("ours"), "s")
        figures[f"{SECONDS} s, ours against it, {dtype}"] = Figure(
            facts.get("ratio"), "x", bar, "higher", "int8, rounds in turn", void=_noisy(facts)
        )
    for count, bar in ((1, 1.5), (4, 3.2), (8, 3.8)):
        facts = whole.get(str(count), whole)
        value = _ratio(count * SECONDS, facts.get("value"))
        figures[f"audio a second, {count} together"] = Figure(
            value, "s", bar, "higher", facts.get("note") or facts.get("error", ""), void=_noisy(facts)
        )
    figures["request to first 0.5 s, warm"] = _figure(whole.get("first", whole), "value", "ms", 450.0, scale=1e3)
    return figures


def _steps(steps: Mapping[str, Any], theirs: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    ours = steps.get("ours", steps)
    probe = ours.get("probe")
    slow = probe is None or probe < BETWEEN
    figures = {
        "memory bandwidth": Figure(probe, "GB/s", note="all cores, huge pages, around the blocks of our step"),
        "a step, ours int8": _figure(ours, "value", "ms", scale=1e3),
    }
    rate = _ratio(step_bytes(), ours.get("value"))
    figures["read rate of our step"] = Figure(rate and rate / 1e9, "GB/s", note=f"{step_bytes() / 1e6:.0f} MB a step")
    figures["read rate against bandwidth"] = Figure(
        rate and probe and 100 * rate / 1e9 / probe, "%", 85.0 if slow else 66.0, "higher", void=_noisy(ours)
    )
    for name, label, bar in (
        ("onnxruntime", "onnxruntime 8 bit", 1.3 if slow else 1.5),
        ("openvino", "OpenVINO int8", 2.8),
        ("openvino bf16", "OpenVINO int8, activations bf16", 2.8),
    ):
        if name not in steps:
            figures[f"a step, {label}"] = skipped("ms", ours.get("error") or _NOT_INSTALLED)
            continue
        its = steps[name]
        figures[f"a step, {label}"] = _figure(its, "value", "ms", scale=1e3)
        figures[f"a step, ours against {label}"] = Figure(
            its.get("ratio"), "x", bar, "higher", _apart(its), void=_noisy(ours, its)
        )
    for dtype, facts in theirs.items():
        figures[f"a step, transformers {dtype}"] = _figure(facts, "step", "ms", scale=1e3)
    return figures


def _host(host: Mapping[str, Any]) -> dict[str, Figure]:
    busy = host.get("others", 0.0) > 0.08
    note = f"others took {host['others']:.0%} of the processor" if "others" in host else host.get("error", "")
    first = host.get("first", {})
    info = host.get("info", {})
    return {
        "start to ready, weights packed before": Figure(
            host.get("ready"), "s", 8.0, note=f"median of 3; {note}", void=busy
        ),
        "start to ready, first": Figure(
            first.get("ready"), "s", 40.0, note="measuring its own speed included", void=first.get("others", 0.0) > 0.08
        ),
        "memory of its process, peak while loading": Figure(
            host.get("loading"), "GB", 2.7, note="PSS, first start included"
        ),
        "memory, loading what is packed": Figure(host.get("loading_kept"), "GB"),
        "memory of its process, steady": Figure(
            host.get("steady"), "GB", 1.5, note=f"PSS, after a 5 s sound; {info.get('precision')}, {info.get('kernel')}"
        ),
    }


def _growth(growth: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Figure]:
    figures = {f"making {name} s": _figure(facts, "value", "s") for name, facts in growth.get("durations", {}).items()}
    for name, facts in growth.get("batches", {}).items():
        figures[f"a step, {name} together"] = _figure(facts, "value", "ms", scale=1e3)
    for name, facts in sizes.items():
        if isinstance(facts, dict):
            all_of_it = len(facts["layers"]) == 1
            counts = " and ".join(map(str, facts["layers"]))
            note = "" if all_of_it else f"worked out from {counts} of its {facts['of']} layers; "
            figures[f"a step, {name}"] = Figure(facts["value"] * 1e3, "ms", note=note + facts["note"])
    return figures


def _quality(quality: Mapping[str, Any]) -> dict[str, Figure]:
    figures = {}
    bars = {"int8": (1.5e-3, 1e-2, 2e-3), "bfloat16": (2e-4, 2e-4, None)}
    for precision in ("int4", "int8", "bfloat16", "float32"):
        facts = quality.get(precision, {})
        off = "guided scores of 64 positions against transformers' in float32"
        middle, worst, kl = bars.get(precision, (None, None, None))
        figures |= {
            f"{precision}: 1 − cosine, median": Figure(_missing(facts.get("median_cosine")), "", middle, note=off),
            f"{precision}: 1 − cosine, worst": Figure(_missing(facts.get("cosine")), "", worst),
            f"{precision}: KL": Figure(facts.get("kl"), "nats", kl),
        }
    modes = quality.get("modes", {})
    for name, facts in modes.items():
        against = _ratio(facts["value"], modes["balanced"]["value"])
        figures[f"mode {name}, cost"] = Figure(against, "x balanced", note=facts["note"])
    return figures


def _gpu(whole: Mapping[str, Any], eager: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures of a CUDA GPU, where there is one; the bars are those of an H200."""
    alone, together = whole.get("1", whole), whole.get("16", whole)
    return {
        f"GPU: {SECONDS} s, transformers generate() bfloat16": _figure(eager, "whole", "s"),
        f"GPU: {SECONDS} s, ours against it": Figure(eager.get("ratio"), "x", 12.0, "higher", void=_noisy(eager)),
        "GPU: audio a second, alone": Figure(
            _ratio(SECONDS, alone.get("value")), "s", 30.0, "higher", str(alone.get("error", "")), void=_noisy(alone)
        ),
        "GPU: audio a second, 16 together": Figure(
            _ratio(16 * SECONDS, together.get("value")), "s", 300.0, "higher", void=_noisy(together)
        ),
        "GPU: request to first 0.5 s, warm": _figure(whole.get("first", whole), "value", "ms", 60.0, scale=1e3),
        "GPU: a step, at most": _figure(alone, "value", "ms", scale=1e3 / (SECONDS * 50 + 3)),
    }


def step_bytes() -> int:
    """What one step of two rows of the small model reads: int8 weights, a text of 11 tokens, a KV cache of halves.

    The cross-attention is folded (docs/kernel.md): keys of up to 16 tokens and values of up to 12 replace two matrices.
    """
    hidden, layers, heads, codes, past = 1024, 24, 16, 4 * 2048, 125
    weights = layers * (3 + 1 + 8) * hidden * hidden + codes * hidden
    text = layers * heads * (16 + 12) * hidden
    return weights + text + 2 * layers * 2 * past * hidden * 2


def _figure(
    facts: Mapping[str, Any],
    name: str,
    unit: str,
    bar: float | None = None,
    better: Literal["lower", "higher"] = "lower",
    *,
    scale: float = 1.0,
) -> Figure:
    value = facts.get(name)
    if value is None:
        return skipped(unit, str(facts.get("error", "not measured")), bar)
    return Figure(scale * value, unit, bar, better, str(facts.get("note", "")), void=_noisy(facts))


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None


def _missing(cosine: float | None) -> float | None:
    return None if cosine is None else max(0.0, 1.0 - cosine)


def _noisy(*facts: Mapping[str, Any]) -> bool:
    return any("NOISY" in str(each.get("note")) for each in facts)


def _apart(facts: Mapping[str, Any]) -> str:
    return f"its scores: cosine {facts['cosine']:.4f}, KL {facts['kl']:.1e}" if "cosine" in facts else ""

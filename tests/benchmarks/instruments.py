"""The procedural instruments: how fast they are made, and how they measure beside those of the SoundFont FluidR3.

Times are processor time of one thread, engine and finishing, which a busy machine stretches less than the clock; five
seeds an instrument, after one that warms up. The comparison takes the instruments that both have, the same words and
notes; it needs fluidsynth and FluidR3_GM.sf2 (Debian, Ubuntu: apt install fluidsynth fluid-soundfont-gm).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bridge.audio.finishing.chains import finish
from bridge.engines import soundfont
from bridge.engines._midi import DRUMS, PROGRAMS
from bridge.engines.procedural import ProceduralEngine
from bridge.engines.procedural.instruments import TABLE
from prompts import SampleSpec
from tests.benchmarks import _features as features
from tests.benchmarks._figure import Figure, median, percentile, skipped

SEEDS = range(1, 6)
FONT = "FluidR3_GM"
_ELECTRONIC = {
    "kick_808", "kick_909", "snare_808", "clap", "cowbell", "acid_bass", "sub_bass", "reese_bass", "wobble_bass",
    "fm_bass", "bell_fm", "robot", "lead_square", "lead_saw", "chip", "sync", "hoover", "theremin", "pluck", "stab",
    "pad_glass", "pad_warm", "supersaw", "drone", "pad_dark", "kick", "strummed", "choir_swell", "vocal_chop", "bell",
    "orchestra_hit", "gong", "snare_brush", "snap", "djembe", "tabla", "tamborim", "surdo",
}  # fmt: skip
"""Not in General MIDI as we mean them."""
FAR = {"centroid": 2.0, "decay": 2.5, "harmonic": 15.0}
"""What counts as an outlier: a ratio, a ratio, decibels."""

_engine = ProceduralEngine()


def spec_of(name: str, seed: int) -> SampleSpec:
    """A single sound of an instrument."""
    entry = TABLE[name]
    kind = "pitched" if entry.root and entry.role not in {"drum", "fx"} else "oneshot"
    return SampleSpec(prompt=entry.words[0], kind=kind, seed=seed).complete().resolved("procedural", None)


def make(name: str, seed: int) -> float:
    """Milliseconds of processor time for one finished sound."""
    spec = spec_of(name, seed)
    begun = time.thread_time()
    (clip,) = _engine.stream(spec, spec.seconds, lambda _: None)
    finish(clip, spec, exact_loops=True)
    return 1000 * (time.thread_time() - begun)


def measure_here() -> dict[str, float]:
    """Milliseconds: 95 %, median and worst of all, and seconds of the bank by the clock; in this process."""
    for name in TABLE:
        make(name, 0)
    times = {name: [make(name, seed) for seed in SEEDS] for name in TABLE}
    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: make(name, 7), TABLE))
    bank = time.perf_counter() - begun
    everything = [each for some in times.values() for each in some]
    slowest = max(times, key=lambda name: max(times[name]))
    return {
        "high": percentile(everything, 95),
        "median": median(everything),
        "worst": max(everything),
        "bank": bank,
        "slowest": list(TABLE).index(slowest),
    }


def speed() -> dict[str, Figure]:
    """Each instrument and the whole bank, in a process with the surroundings of an engine's."""
    ended = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ended.stdout)
    count = f"{len(TABLE)} instruments x {len(SEEDS)} seeds"
    return {
        "one-shot, 95 %": Figure(found["high"], "ms", 60.0, note=count),
        "one-shot, median": Figure(found["median"], "ms"),
        "one-shot, slowest": Figure(found["worst"], "ms", 250.0, note=list(TABLE)[int(found["slowest"])]),
        "whole bank, two threads": Figure(found["bank"], "s", 6.0, note="by the clock"),
    }


def beside(font: soundfont.SoundFontEngine) -> dict[str, tuple[tuple[float, float], ...]]:
    """Instrument -> (ours, the font's) of centroid (Hz), decay (s) and harmonic ratio (dB)."""
    answer = {}
    for name in TABLE:
        if name in _ELECTRONIC or (name not in PROGRAMS and name not in DRUMS):
            continue
        spec = spec_of(name, 1)
        sounds = [next(iter(engine.stream(spec, None, lambda _: None))).samples for engine in (_engine, font)]
        answer[name] = tuple(
            (of(sounds[0]), of(sounds[1])) for of in (features.centroid, features.decay, features.harmonic)
        )
    return answer


def outliers(pairs: dict[str, tuple[tuple[float, float], ...]]) -> dict[str, list[str]]:
    """Feature -> instruments that are far from the font's."""
    far: dict[str, list[str]] = {name: [] for name in FAR}
    for name, measures in pairs.items():
        for (feature, limit), (ours, theirs) in zip(FAR.items(), measures, strict=True):
            apart = abs(ours - theirs) if feature == "harmonic" else math.exp(abs(math.log(ours / theirs)))
            if apart > limit:
                far[feature].append(f"{name} {ours:.3g} for {theirs:.3g}")
    return far


def compare() -> dict[str, Figure]:
    """How far apart the two are in the median, and who is far."""
    path = soundfont.find_font()
    if soundfont.SoundFontEngine.missing() or path is None or not path.resolve().stem.startswith(FONT):
        return {
            f"beside {FONT}": skipped("", f"needs fluidsynth and {FONT}.sf2: apt install fluidsynth fluid-soundfont-gm")
        }
    pairs = beside(soundfont.SoundFontEngine())
    far = outliers(pairs)
    figures = {}
    for i, feature in enumerate(FAR):
        each = [measures[i] for measures in pairs.values()]
        apart = [abs(a - b) if feature == "harmonic" else math.exp(abs(math.log(a / b))) for a, b in each]
        note = f"{len(far[feature])} of {len(pairs)} are over {FAR[feature]:g}: {'; '.join(far[feature]) or '-'}"
        figures[f"{feature} beside {FONT}, median"] = Figure(
            median(apart), "dB" if feature == "harmonic" else "times", note=note
        )
    return figures


async def measure() -> dict[str, Figure]:
    """Speed, then the comparison."""
    return {**speed(), **compare()}


if __name__ == "__main__":
    print(json.dumps(measure_here()))

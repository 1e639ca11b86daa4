"""Words of a prompt move the sound of the procedural engine: the median change of a feature, and in how many it holds.

Each word is said of at least ten instruments or loops where it applies; both sounds have the same seed. The feature,
its direction and its unit stand in ``WORDS``: a word is kept when nine of ten move the right way, and the median by
15 % or 2 dB.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bridge.engines.procedural import ProceduralEngine
from prompts import SampleSpec
from tests.benchmarks import _features as features
from tests.benchmarks._features import Samples
from tests.benchmarks._figure import Figure, median

SHARE = 90.0
"""Per cent of the sounds that must move the right way."""
PERCENT, DECIBELS = 15.0, 2.0
"""How far the median must move."""

SOUNDS = (
    "kick", "snare", "hi hat", "cowbell", "tom", "acid bass", "sub bass", "piano", "bell", "nylon guitar",
    "synth pluck", "pad", "brass", "lead", "flute", "choir", "theremin", "marimba",
)  # fmt: skip
PLAYED = (
    "snare", "conga", "piano", "electric piano", "marimba", "bell", "nylon guitar", "harp", "acid bass", "sub bass",
    "brass", "saxophone", "flute", "choir", "strings", "lead", "synth pluck",
)  # fmt: skip
RINGING = (
    "kick", "snare", "open hat", "crash", "tom", "bell", "piano", "electric piano", "nylon guitar", "marimba",
    "synth pluck", "pad", "choir", "brass", "808 bass",
)  # fmt: skip
ROOMY = (
    "choir", "pad", "strings", "bell", "harp", "church organ", "flute", "french horn", "tubular bells", "shimmer pad",
    "pan flute", "glockenspiel", "vocal", "drone",
)  # fmt: skip
TONAL = (
    "piano", "electric piano", "nylon guitar", "bell", "marimba", "organ", "sub bass", "flute", "lead", "pad",
    "strings", "choir", "kalimba", "vibraphone",
)  # fmt: skip
LOOPS = (
    "techno beat", "house drum loop", "hip hop beat", "rock drum loop", "trap beat", "funk break", "batucada",
    "synth arp", "acid bassline", "house chords", "guitar riff", "flute melody", "hi hat loop",
)  # fmt: skip
TUNES = (
    "electric piano chords", "piano chords", "strings loop", "organ chords", "synth arp", "guitar chords",
    "pad loop", "harp arp", "house chords", "trance chords", "rock guitar chords", "techno arp",
)  # fmt: skip
MAJOR_TUNES = (
    "jazz piano chords", "folk guitar chords", "classical strings loop", "lo-fi electric piano chords",
    "classical harp arp", "folk harp arp", "jazz organ chords", "classical piano arp", "folk pad loop",
    "ambient pad loop", "jazz guitar chords", "waltz piano chords",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """What a word is held to."""

    feature: Callable[[Samples], float]
    up: bool
    bases: tuple[str, ...] = SOUNDS
    kind: str = "oneshot"
    against: str = "{}"
    """What the word is compared with; the word itself is put before it."""

    @property
    def unit(self) -> str:
        """Decibels are differences, anything else is a ratio."""
        return "dB" if (self.feature.__doc__ or "").startswith("dB") else "%"

    def moved(self, before: float, after: float) -> float:
        """How far it moved, positive when the right way: in dB, or in per cent of what it was."""
        if self.unit == "dB":
            return after - before if self.up else before - after
        return 100 * (after / before - 1) * (1 if self.up else -1)


WORDS: dict[str, Word] = {
    "dark": Word(features.centroid, up=False),
    "bright": Word(features.centroid, up=True),
    "warm": Word(features.centroid, up=False),
    "hard": Word(features.touch, up=True, bases=PLAYED),
    "soft": Word(features.touch, up=False, bases=PLAYED),
    "distorted": Word(features.crest, up=False, bases=RINGING),
    "lo-fi": Word(features.floor, up=True, bases=TONAL),
    "wide": Word(features.width, up=True),
    "long": Word(features.decay, up=True, bases=RINGING),
    "short": Word(features.decay, up=False, bases=RINGING),
    "wet": Word(features.tail, up=True),
    "dry": Word(features.tail, up=False, bases=ROOMY),
    "slow": Word(features.onsets, up=False, bases=LOOPS, kind="loop"),
    "fast": Word(features.onsets, up=True, bases=LOOPS, kind="loop"),
    "old": Word(features.edge, up=False, bases=PLAYED),
    "clean": Word(features.floor, up=False, bases=TONAL, against="old, distorted {}"),
    "happy": Word(features.major, up=True, bases=TUNES, kind="loop"),
    "sad": Word(features.major, up=False, bases=MAJOR_TUNES, kind="loop"),
    "energetic": Word(features.onsets, up=True, bases=LOOPS, kind="loop"),
    "calm": Word(features.onsets, up=False, bases=LOOPS, kind="loop"),
    "dramatic": Word(features.swell, up=True, bases=LOOPS + TUNES, kind="loop"),
    "peaceful": Word(features.touch, up=False, bases=PLAYED),
    "euphoric": Word(features.width, up=True),
    "melancholic": Word(features.centroid, up=False),
    "aggressive": Word(features.crest, up=False, bases=RINGING),
    "ethereal": Word(features.tail, up=True),
    "epic": Word(features.tail, up=True),
}
_engine = ProceduralEngine()


@lru_cache(maxsize=256)
def sound(prompt: str, kind: str, seed: int = 1) -> Samples:
    """What the engine makes of a prompt; a loop is two bars at 120."""
    spec = SampleSpec(prompt=prompt, kind=kind, seed=seed).complete().resolved("procedural", None)
    (clip,) = _engine.stream(spec, spec.seconds, lambda _: None)
    return clip.samples


def moves(name: str, bases: tuple[str, ...] | None = None) -> dict[str, float]:
    """How far a word moves each of its sounds, positive when the right way."""
    word = WORDS[name]
    answer = {}
    for base in bases or word.bases:
        plain = word.against.format(base)
        before, after = sound(plain, word.kind), sound(f"{name} {plain}", word.kind)
        answer[base] = word.moved(word.feature(before), word.feature(after))
    return answer


async def measure() -> dict[str, Figure]:
    """Two figures a word."""
    figures = {}
    for name, word in WORDS.items():
        moved = moves(name)
        wrong = [base for base, value in moved.items() if value <= 0]
        way = f"{word.feature.__name__} {'up' if word.up else 'down'}"
        figures[f"{name}: {way}, median"] = Figure(
            median(moved.values()), word.unit, PERCENT if word.unit == "%" else DECIBELS, "higher"
        )
        share = 100 * (1 - len(wrong) / len(moved))
        figures[f"{name}: right way"] = Figure(
            share, "%", SHARE, "higher", f"of {len(moved)}" + (f", not {', '.join(wrong)}" if wrong else "")
        )
    return figures


if __name__ == "__main__":
    for each in sys.argv[1:] or WORDS:
        got = moves(each)
        right = sum(value > 0 for value in got.values())
        single = "  ".join(f"{base}: {value:.1f}" for base, value in got.items())
        print(f"{each:12s} {median(got.values()):7.1f} {WORDS[each].unit:2s} {right}/{len(got)}  {single}", flush=True)

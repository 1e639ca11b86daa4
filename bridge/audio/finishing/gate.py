"""The quality gate: what is measured of a finished sample, what fails, and one score for all of it.

Nothing is dropped. What fails a measure carries that measure's flag and is ranked behind what carries none:

| flag | says |
|---|---|
| ``off_grid`` | The engine played at another tempo, too far off to be stretched without being heard. |
| ``not_on_grid`` | Hits lie off the sixteenths and the triplets. |
| ``no_pulse`` | Nothing in this loop starts clearly, so it was cut by the clock. |
| ``short_material`` | The engine made too little: a part of it is repeated. |
| ``audible_seam`` | The end of the loop meets its beginning with a click or a jump. |
| ``seam_bump`` | The level or the colour of this texture changes where it repeats. |
| ``late_start`` | Silence comes before the attack. |
| ``long_tail`` | Silence follows the sound. |
| ``cut_off`` | It was still sounding where it ends, and is faded out there. |
| ``peak_limited`` | Its peaks keep it quieter than other sounds of its kind. |
| ``clipped`` | The engine cut the tops of the waves off. |
| ``offset`` | The wave does not swing around zero. |
| ``mono_loss`` | The channels cancel each other out where they are mixed to one. |
| ``wide_bass`` | The channels cancel each other out under 120 Hz, where clubs play one. |
| ``noisy`` | Hiss can be heard under the sound. |
| ``dull`` | A cymbal or a hat without its high frequencies. |
| ``no_pitch`` | No steady pitch was found, so ``note()`` plays it from C. |
| ``out_of_tune`` | The pitch is more than 15 cents away from a semitone. |
| ``unsteady_pitch`` | The pitch wanders. |
| ``other_key`` | It is in another key than the one asked for. |
| ``step_skipped`` | A step of finishing failed and was left out. |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.audio.analysis import measures as measuring
from bridge.audio.analysis.key import find_key, key_match
from bridge.audio.finishing.seam import seam_z
from bridge.plugins.clip import Clip
from prompts import Kind, SampleSpec


@dataclass(frozen=True, slots=True)
class Quality:
    """What the gate found."""

    measures: dict[str, float]
    flags: list[str]
    """In the order of the rules; see the table above."""
    score: float
    """0..1: half the mean of all marks, half the worst one; a mark is 1 at "good", 0.5 at "pass" and falls to 0."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How good a measure has to be."""

    measure: str
    flag: str
    good: float
    passing: float
    """On the other side of this the sample is flagged; above ``good`` where little is good."""

    def mark(self, value: float) -> float:
        """Give 1 at ``good`` and better, 0.5 at ``passing``, 0 twice as far from good, straight lines between."""
        away = (value - self.good) / (self.passing - self.good)
        return min(1.0, max(0.0, 1.0 - away / 2.0))


_GRID: Final = (Rule("tempo_error_percent", "off_grid", 2.0, 12.0), Rule("grid_deviation_ms", "not_on_grid", 8.0, 15.0))
_SEAM: Final = (Rule("seam_z", "audible_seam", 1.6, 3.0),)
_JOIN: Final = (
    Rule("seam_flux", "seam_bump", 1.2, 2.0),
    Rule("seam_step_db", "seam_bump", 1.5, 3.0),
    Rule("join_dip_db", "seam_bump", -2.0, -4.0),
)
_ENDS: Final = (
    Rule("head_silence_ms", "late_start", 2.0, 5.0),
    Rule("tail_silence_ms", "long_tail", 20.0, 50.0),
    Rule("last_sample", "cut_off", 1e-5, 1e-3),
)
_PITCH: Final = (
    Rule("pitch_error_cents", "out_of_tune", 5.0, 15.0),
    Rule("pitch_stability_cents", "unsteady_pitch", 5.0, 20.0),
)
_KEY: Final = (Rule("key_match", "other_key", 1.0, 0.29),)
_ALWAYS: Final = (
    Rule("flat_tops", "clipped", 0.0, 0.5),
    Rule("dc", "offset", 1e-4, 1e-3),
    # Channels that have nothing in common lose 3.01 dB, which is what a wide texture is made of.
    Rule("mono_loss_db", "mono_loss", -1.0, -4.0),
    Rule("mono_loss_low_db", "wide_bass", -1.0, -4.0),
    Rule("noise_floor_db", "noisy", -65.0, -50.0),
    Rule("rolloff_hz", "dull", 12_000.0, 8_000.0),
)
RULES: Final[Mapping[Kind, tuple[Rule, ...]]] = {
    Kind.ONESHOT: (*_ENDS, *_ALWAYS),
    Kind.PITCHED: (*_ENDS, *_PITCH, *_ALWAYS),
    Kind.LOOP: (*_GRID, *_SEAM, *_KEY, *_ALWAYS),
    Kind.TEXTURE: (*_SEAM, *_JOIN, *_KEY, *_ALWAYS),
    Kind.STEM: (*_KEY, *_ALWAYS),
    Kind.RAW: _ALWAYS,
}
"""Which measures speak for which kind; one that was not taken, or says nothing about a sound, is passed over."""

_LISTED: Final = re.compile(r"^\| ``(?P<flag>\w+)`` \| (?P<sentence>.+) \|$", re.MULTILINE)
FLAGS: Final[Mapping[str, str]] = {each["flag"]: each["sentence"] for each in _LISTED.finditer(__doc__ or "")}
"""Every flag and its sentence for a player."""

_HIGH: Final = re.compile(r"\b(?:closed |open )?(?:hi[- ]?)?hats?\b|\bcymbals?\b|\bcrash\b|\bride\b", re.IGNORECASE)
_MEANT_DULL: Final = re.compile(r"\b(?:dark|dull|warm|old|dusty|vintage|muffled|lo-?fi|soft|low)", re.IGNORECASE)


def judge(
    clip: Clip, spec: SampleSpec, *, found: Mapping[str, float] | None = None, flags: Collection[str] = ()
) -> Quality:
    """Measure a finished ``clip`` and mark it by the rules of its kind.

    ``found``: measures that the steps of finishing took; ``flags``: what they noticed themselves.
    """
    kind = spec.kind or Kind.RAW
    taken = _measured(clip, spec, kind, found or {}) | {name: float(value) for name, value in (found or {}).items()}
    # The roll-off says something about what ought to have highs, and nothing about a bass.
    bright = kind in {Kind.ONESHOT, Kind.PITCHED} and _HIGH.search(spec.prompt) and not _MEANT_DULL.search(spec.prompt)
    rules = [rule for rule in RULES[kind] if rule.measure in taken and (bright or rule.flag != "dull")]
    marks = [rule.mark(taken[rule.measure]) for rule in rules]
    failed = [rule.flag for rule, mark in zip(rules, marks, strict=True) if mark < 0.5]
    noticed = list(dict.fromkeys([*flags, *failed]))
    marks += [0.25] * len(set(noticed) - set(failed))
    score = (sum(marks) / len(marks) + min(marks)) / 2 if marks else 1.0
    return Quality(taken, noticed, round(score, 4))


def _measured(clip: Clip, spec: SampleSpec, kind: Kind, found: Mapping[str, float]) -> dict[str, float]:
    """Take the measures of a kind."""
    ring = kind in {Kind.LOOP, Kind.TEXTURE}
    taken: dict[str, float | None] = {**measuring.measure(clip, loop=ring, known=found)}
    if kind in {Kind.ONESHOT, Kind.PITCHED}:
        taken["head_silence_ms"] = measuring.head_silence_ms(clip)
        taken["last_sample"] = measuring.last_sample(clip)
        if spec.seconds is None:  # silence behind a sound that was to be so long is not a mistake
            taken["tail_silence_ms"] = measuring.tail_silence_ms(clip)
    if ring:
        taken["seam_z"] = seam_z(clip)
    if kind is Kind.LOOP and spec.bpm:
        taken["grid_deviation_ms"] = measuring.grid_deviation_ms(clip, spec.bpm)
    if kind is Kind.TEXTURE:
        taken["seam_flux"] = measuring.seam_flux(clip)
        taken["seam_step_db"] = measuring.seam_step_db(clip)
        taken["join_dip_db"] = measuring.join_dip_db(clip)
    if spec.key and any(rule.measure == "key_match" for rule in RULES[kind]):
        key = find_key(clip)
        taken["key_match"] = None if key is None else key_match(key, spec.key)
    return {name: round(float(value), 6) for name, value in taken.items() if value is not None}

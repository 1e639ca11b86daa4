"""Test loops with known truth, played by a small synthesizer of the tests' own.

Nothing here comes from the engines: what measures and cuts a loop must not be tested on material that the product made.
Times are in seconds, tempo in quarter notes per minute, a step is a sixteenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

from bridge.plugins.clip import Clip

Signal = npt.NDArray[np.float64]

RATE = 32000
"""Hz at which MusicGen makes its audio."""


@dataclass(frozen=True)
class Groove:
    """Who plays on which steps of a bar, and the chords (semitones over the root) of a four-bar phrase."""

    parts: Mapping[str, str]
    """``x`` is a hit, ``o`` a soft one, ``.`` none; one character a step."""
    steps: int = 16
    meter: tuple[int, int] = (4, 4)
    chords: tuple[tuple[int, ...], ...] = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
    bass: str = ""
    stabs: str = ""


GROOVES: dict[str, Groove] = {
    "house": Groove(
        {"kick": "x...x...x...x...", "clap": "....x.......x...", "hat": "..x...x...x...x."},
        bass="..x...x...x...x.",
        stabs="x.....x...x.....",
    ),
    "techno": Groove(
        {"kick": "x...x...x...x...", "hat": "o.x.o.x.o.x.o.x.", "rim": "...x......x....."}, bass=".xxx.xxx.xxx.xxx"
    ),
    "break": Groove(
        {"kick": "x.x.......xx....", "snare": "....x..o.o..x..o", "hat": "x.x.x.x.x.x.x.x."}, bass="x.........x....."
    ),
    "boombap": Groove(
        {"kick": "x......x..x.....", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.oo"},
        bass="x......x..x.....",
        stabs="x.......x.......",
    ),
    "trap": Groove(
        {"kick": "x.....x...x.....", "clap": "........x.......", "hat": "x.x.x.x.x.x.xxxx"}, bass="x.....x...x....."
    ),
    "rock": Groove(
        {"kick": "x.......x.x.....", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
        bass="x.x.x.x.x.x.x.x.",
        stabs="x.......x.......",
    ),
    "keys": Groove({}, stabs="x...x.....x.x...", bass="x.......x......."),
    "waltz": Groove(
        {"kick": "x...........", "snare": "....x...x...", "hat": "x.x.x.x.x.x."},
        steps=12,
        meter=(3, 4),
        bass="x...........",
        stabs="....x...x...",
    ),
    "shuffle": Groove(
        {"kick": "x...........", "snare": "......x.....", "hat": "x.x.x.x.x.x."},
        steps=12,
        meter=(6, 8),
        bass="x.....x.....",
    ),
    "seven": Groove(
        {"kick": "x...x.........", "snare": "........x.....", "hat": "x.x.x.x.x.x.x."},
        steps=14,
        meter=(7, 8),
        bass="x...x...x.....",
    ),
}
"""Genres. ``keys`` has no drums at all."""

FOUR_FOUR = tuple(name for name, groove in GROOVES.items() if groove.meter == (4, 4))


@dataclass(frozen=True)
class Flaws:
    """What a player or a model does to the time and the sound."""

    jitter: float = 0.0
    """Standard deviation of each hit's time, seconds."""
    swing: float = 0.0
    """How far every second eighth comes late, as a share of an eighth."""
    drift: float = 0.0
    """Tempo goes from 1 - drift to 1 + drift over the clip; the mean tempo stays what it was."""
    noise: float = 0.0
    """Standard deviation of white noise, full scale being 1."""
    drive: float = 0.0
    """Saturation: gain before a tanh."""


@dataclass(frozen=True)
class Played:
    """A clip and the truth about it."""

    clip: Clip
    asked_bpm: float
    bpm: float
    """Mean tempo that was really played."""
    bars: Signal
    """Times of the bar lines that lie in the clip."""
    groove: Groove
    flaws: Flaws = field(default_factory=Flaws)


def play(
    genre: str,
    asked_bpm: float,
    *,
    error: float = 0.0,
    seconds: float = 10.0,
    lead: float = 0.0,
    skip_beats: int = 0,
    root: int = 48,
    minor: bool = False,
    flaws: Flaws | None = None,
    seed: int = 0,
    rate: int = RATE,
    drums: bool = True,
    tonal: bool = True,
) -> Played:
    """Play ``genre`` at ``asked_bpm * (1 + error)`` for ``seconds``, mono.

    The music begins after ``lead`` seconds of (nearly) nothing, ``skip_beats`` quarters into its first bar.
    """
    groove, flaws, dice = GROOVES[genre], flaws or Flaws(), np.random.default_rng(seed)
    bpm = asked_bpm * (1 + error)
    clock = _Clock(bpm, lead, skip_beats, seconds, flaws.drift)
    out = np.zeros(round((seconds + 4) * rate))
    bars = int(np.ceil(seconds / (groove.steps * clock.step))) + 1
    for bar in range(bars):
        for position in range(groove.steps):
            late = 2 * flaws.swing if position % 4 == 2 else 0.0
            at = clock.time(bar * groove.steps + position + late)
            if not lead - 1e-9 <= at < seconds:
                continue
            for name, line in groove.parts.items() if drums else ():
                if line[position] != ".":
                    hit = drum(name, rate, seed=seed) * (1.0 if line[position] == "x" else 0.4) * dice.uniform(0.85, 1)
                    _add(out, hit, max(0.0, at + flaws.jitter * dice.standard_normal()), rate)
            if tonal:
                chord = [each - 1 if minor and each % 12 in (4, 9, 11) else each for each in groove.chords[bar % 4]]
                _accompany(out, groove, position, [root + each for each in chord], at, clock.step, rate)
    out = out[: round(seconds * rate)]
    out /= np.abs(out).max() * 1.1 + 1e-12
    if flaws.drive:
        out = np.tanh(out * flaws.drive) / np.tanh(flaws.drive)
    out += flaws.noise * dice.standard_normal(len(out))
    lines = np.array([clock.time(bar * groove.steps) for bar in range(bars + 1)])
    inside = lines[(lines >= lead - 1e-9) & (lines < seconds)]
    return Played(Clip.of(out, rate), asked_bpm, bpm, inside, groove, flaws)


@dataclass(frozen=True)
class _Clock:
    """When each step is played."""

    bpm: float
    lead: float
    skip_beats: int
    seconds: float
    drift: float

    @property
    def step(self) -> float:
        return 15.0 / self.bpm

    def time(self, position: float) -> float:
        linear = self.lead + (position - 4 * self.skip_beats) * self.step
        played = max(self.seconds - self.lead, 1e-9)
        share = float(np.clip((linear - self.lead) / played, 0, 1))
        return linear + self.drift * played * share * (1 - share)


def _accompany(out: Signal, groove: Groove, position: int, chord: list[int], at: float, step: float, rate: int) -> None:
    if groove.bass and groove.bass[position] != ".":
        _add(out, 0.5 * note(chord[0] - 12, 1.8 * step, rate), at, rate)
    if groove.stabs and groove.stabs[position] != ".":
        for each in chord:
            _add(out, 0.22 * note(each + 12, 3 * step, rate), at, rate)


def clean_set(count: int = 40) -> list[Played]:
    """Machine-tight clips over genres and tempi, up to 5 % off what was asked, with a lead-in, some cut into a bar."""
    return [_one(index, None) for index in range(count)]


def hard_set(count: int = 40) -> list[Played]:
    """The same with 8 ms jitter, swing on every second clip, 1 % drift, noise and saturation."""
    return [_one(1000 + index, Flaws(0.008, 0.25 * (index % 2), 0.01, 0.005, 2.0)) for index in range(count)]


def _one(seed: int, flaws: Flaws | None) -> Played:
    dice = np.random.default_rng(seed)
    genre = FOUR_FOUR[seed % len(FOUR_FOUR)]
    return play(
        genre,
        float(np.round(dice.uniform(78, 176), 1)),
        error=dice.uniform(-0.05, 0.05),
        lead=dice.uniform(0, 0.35),
        skip_beats=int(dice.integers(1, 4)) if seed % 3 == 2 else 0,
        root=int(dice.integers(40, 52)),
        minor=bool(seed % 2),
        flaws=flaws,
        seed=seed,
    )


def drum(name: str, rate: int, *, seed: int = 0) -> Signal:
    """Play one hit of a kit: kick, snare, clap, hat, rim or tom."""
    dice = np.random.default_rng([seed, len(name), ord(name[0])])
    if name in ("kick", "tom"):
        time = np.arange(round(0.35 * rate)) / rate
        low = dice.uniform(45, 58) if name == "kick" else dice.uniform(95, 130)
        phase = 2 * np.pi * (low * time + (3.0 * low) * 0.02 * (1 - np.exp(-time / 0.02)))
        return np.sin(phase) * np.exp(-time / 0.09) + 0.15 * np.exp(-time / 0.002) * dice.standard_normal(len(time))
    if name == "snare":
        time = np.arange(round(0.25 * rate)) / rate
        hiss = band(dice.standard_normal(len(time)), 1200, 9000, rate)
        return 0.5 * np.sin(2 * np.pi * 190 * time) * np.exp(-time / 0.05) + 0.5 * hiss * np.exp(-time / 0.06)
    if name == "clap":
        time = np.arange(round(0.25 * rate)) / rate
        body = np.exp(-time / 0.07) + sum(2 * np.exp(-np.abs(time - late) / 0.002) for late in (0.0, 0.006, 0.013))
        return 0.4 * band(dice.standard_normal(len(time)), 900, 4000, rate) * body
    if name == "rim":
        time = np.arange(round(0.05 * rate)) / rate
        return 0.5 * np.sin(2 * np.pi * 1700 * time) * np.exp(-time / 0.008)
    time = np.arange(round(0.08 * rate)) / rate
    return 0.35 * band(dice.standard_normal(len(time)), 6500, 14000, rate) * np.exp(-time / 0.02)


def note(midi: float, seconds: float, rate: int, *, partials: int = 8, attack: float = 0.004) -> Signal:
    """Play a plucked tone of ``partials`` harmonics that decays and is released."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = 440.0 * 2.0 ** ((midi - 69) / 12)
    wave = np.zeros(len(time))
    for order in range(1, partials + 1):
        if order * pitch < 0.45 * rate:
            wave += np.sin(2 * np.pi * order * pitch * time) / order * np.exp(-time * order / 0.6)
    release = np.clip((seconds - time) / 0.01, 0, 1)
    return wave * np.clip(time / attack, 0, 1) * release


def pad(midis: tuple[float, ...], seconds: float, rate: int, *, seed: int = 0, depth: float = 0.2) -> Signal:
    """Hold a chord with slow movement and no attack in it."""
    dice = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = np.zeros(len(time))
    for midi in midis:
        for detune in (-4, 0, 5):
            pitch = 440.0 * 2.0 ** ((midi - 69 + detune / 100) / 12)
            for order in range(1, 7):
                wave += np.sin(2 * np.pi * (order * pitch * time + dice.uniform())) / order**1.5
    swell = 1 + depth * np.sin(2 * np.pi * (0.31 * time + dice.uniform()))
    return 0.3 * wave * swell / np.abs(wave).max()


def band(signal: Signal, low: float, high: float, rate: int) -> Signal:
    """Let ``low`` to ``high`` Hz through."""
    high = min(high, 0.49 * rate)
    filtered: Signal = sosfilt(butter(2, [low, high], "bandpass", fs=rate, output="sos"), signal)
    return filtered


def _add(out: Signal, sound: Signal, at: float, rate: int) -> None:
    """Mix ``sound`` in at a time that may lie between two frames (linear interpolation)."""
    index = int(at * rate)
    share = at * rate - index
    count = min(len(sound), len(out) - index - 1)
    if count > 0:
        out[index : index + count] += (1 - share) * sound[:count]
        out[index + 1 : index + 1 + count] += share * sound[:count]

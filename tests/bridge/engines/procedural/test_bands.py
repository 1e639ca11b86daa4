"""Every common stem sounds like itself and like no other.

The bands hold the measures of six seeds with 10 % to spare (flatness 50 %, pitch 1.5 %). They sit inside the wide bands
of plausibility for each family where it has one: kick centroid under 250 Hz, hat over 7 kHz with a decay under 80 ms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines.procedural import ProceduralEngine
from prompts import Stem, common_stems

RATE = 44_100
Range = tuple[float, float]


class Band(NamedTuple):
    """Where the measures of one stem lie."""

    centroid: Range
    """Hz, of the power spectrum."""
    decay: Range
    """Seconds until 95 % of the energy has passed."""
    flatness: Range
    """Geometric over arithmetic mean of the power spectrum, 43 Hz to 16 kHz."""
    pitch: Range | None
    """Hz, for what has one."""


class Measures(NamedTuple):
    centroid: float
    decay: float
    flatness: float
    pitch: float


BANDS: dict[str, Band] = {
    "kick": Band((130, 190), (0.11, 0.15), (0, 0.0003), None),
    "snare": Band((2700, 3800), (0.13, 0.19), (0.17, 0.45), None),
    "closed_hat": Band((12000, 16000), (0.016, 0.023), (0.028, 0.074), None),
    "open_hat": Band((12000, 16000), (0.43, 0.57), (0.05, 0.12), None),
    "clap": Band((2600, 3500), (0.1, 0.14), (0.14, 0.42), None),
    "rim": Band((1500, 1900), (0.018, 0.022), (0, 0.0003), None),
    "low_tom": Band((57, 69), (0.35, 0.42), (0, 0.0003), (62.3, 64.2)),
    "mid_tom": Band((120, 140), (0.28, 0.34), (0, 0.0003), (129.3, 133.2)),
    "high_tom": Band((210, 250), (0.23, 0.28), (0, 0.0003), (221.6, 228.4)),
    "crash": Band((3800, 5200), (1.7, 2.3), (0.1, 0.29), None),
    "ride": Band((4700, 6100), (0.63, 0.82), (0.036, 0.11), None),
    "cowbell": Band((1200, 1400), (0.079, 0.098), (0, 0.0003), None),
    "shaker": Band((6100, 7600), (0.043, 0.056), (0.17, 0.48), None),
    "kick_808": Band((63, 77), (0.98, 1.2), (0, 0.0003), (65.9, 67.9)),
    "kick_909": Band((100, 127), (0.3, 0.39), (0, 0.0003), None),
    "kick_soft": Band((57, 73), (0.17, 0.21), (0, 0.0003), None),
    "snare_808": Band((3500, 4700), (0.069, 0.086), (0.11, 0.29), None),
    "snare_fat": Band((270, 410), (0.11, 0.16), (0.001, 0.0034), None),
    "clap_808": Band((4600, 6200), (0.077, 0.11), (0.27, 0.75), None),
    "conga": Band((200, 260), (0.16, 0.21), (0, 0.0003), None),
    "tambourine": Band((8700, 12000), (0.1, 0.14), (0.0074, 0.032), None),
    "sub_bass": Band((59, 73), (0.71, 0.88), (0, 0.0003), (64.7, 66.6)),
    "acid_bass": Band((250, 330), (0.39, 0.49), (0.00015, 0.00039), (64.2, 66.1)),
    "reese_bass": Band((64, 87), (1.2, 1.8), (0, 0.0003), (64.7, 66.6)),
    "piano": Band((340, 430), (0.99, 1.3), (0, 0.0003), (258.6, 266.4)),
    "electric_piano": Band((230, 290), (1.2, 1.5), (0, 0.0003), (258.6, 266.4)),
    "organ": Band((180, 240), (1.2, 1.5), (0, 0.0003), (128.9, 132.8)),
    "guitar": Band((910, 1400), (0.79, 1.1), (0.0002, 0.00076), (128.9, 132.8)),
    "pluck": Band((980, 1800), (0.14, 0.21), (0.00083, 0.0031), (257.1, 264.9)),
    "bell": Band((410, 530), (2.7, 3.8), (0, 0.0003), None),
    "marimba": Band((240, 300), (0.46, 0.58), (0, 0.0003), (257.1, 264.9)),
    "strings": Band((290, 410), (1.7, 2.5), (0, 0.0003), (257.1, 264.9)),
    "brass": Band((280, 660), (0.91, 1.2), (0.0022, 0.017), (128.5, 132.8)),
    "flute": Band((550, 680), (0.96, 1.2), (0.00057, 0.0016), (517.2, 532.9)),
    "choir": Band((490, 740), (2.1, 2.8), (0, 0.0003), (258.6, 266.4)),
    "vocal": Band((330, 850), (0.26, 0.35), (0.00023, 0.0015), (257.9, 265.6)),
    "warm_pad": Band((180, 240), (6.5, 8.7), (0, 0.0003), None),
    "drone": Band((80, 140), (5.4, 8.6), (0, 0.0003), None),
    "rain": Band((4700, 6000), (6.9, 8.4), (0.42, 0.97), None),
    "vinyl": Band((3000, 4000), (6.8, 8.4), (0.25, 0.61), None),
    "riser": Band((5600, 7300), (3.5, 4.4), (0.42, 0.97), None),
    "impact": Band((56, 73), (1.3, 1.7), (0, 0.0003), (35.0, 48.0)),
    "dusty_break": Band((170, 230), (3.1, 3.9), (0.0014, 0.004), None),
    "house_beat": Band((290, 460), (3.2, 4), (0.019, 0.064), None),
    "arp": Band((1200, 1800), (3.3, 4.2), (0.011, 0.043), None),
}


def measured(samples: npt.NDArray[np.float32]) -> Measures:
    x = samples.mean(axis=0).astype(np.float64)
    power = np.abs(np.fft.rfft(x)) ** 2
    centroid = float((np.fft.rfftfreq(len(x), 1 / RATE) * power).sum() / power.sum())
    energy = np.cumsum(x**2)
    decay = float(np.searchsorted(energy, 0.95 * energy[-1]) / RATE)
    return Measures(centroid, decay, _flatness(x), _pitch(x))


def _flatness(x: npt.NDArray[np.float64]) -> float:
    size = 2048
    count = max(1, len(x) // size)
    rows = np.pad(x, (0, max(0, size - len(x))))[: count * size].reshape(count, size) * np.hanning(size)
    power = (np.abs(np.fft.rfft(rows)) ** 2).mean(axis=0)[2:743] + 1e-15
    return float(np.exp(np.log(power).mean()) / power.mean())


def _pitch(x: npt.NDArray[np.float64]) -> float:
    """The first strong peak of the autocorrelation behind the loudest moment."""
    start = int(np.argmax(np.abs(x)))
    piece = x[start : start + 8192]
    piece = piece - piece.mean()
    r = np.fft.irfft(np.abs(np.fft.rfft(piece, 32_768)) ** 2)[:2000]
    below = np.flatnonzero(r < 0)
    first = max(RATE // 1500, int(below[0]) if len(below) else 0)
    lag = first + int(np.argmax(r[first:] > 0.9 * r[first:].max()))
    while lag + 1 < len(r) and r[lag + 1] > r[lag]:
        lag += 1
    return RATE / lag


def outside(band: Band, measures: Measures) -> list[str]:
    """What of a sound does not fit a band, in words."""
    ranges = {"centroid": band.centroid, "decay": band.decay, "flatness": band.flatness, "pitch": band.pitch}
    return [
        f"{name} {value:.4g} is not within {low:g}..{high:g}"
        for (name, limits), value in zip(ranges.items(), measures, strict=True)
        if limits is not None
        for low, high in [limits]
        if not low <= value <= high
    ]


def sounded(engine: ProceduralEngine, stem: Stem, seed: int | None = None) -> Measures:
    spec = stem.spec.model_copy(update={"seed": seed}).complete().resolved("procedural", None)
    (clip,) = engine.stream(spec, spec.seconds, lambda _: None)
    return measured(clip.samples)


@pytest.fixture(scope="module")
def all_measures(engine: ProceduralEngine) -> dict[str, Measures]:
    return {stem.name: sounded(engine, stem) for stem in common_stems()}


def test_every_common_stem_has_a_band() -> None:
    assert {stem.name for stem in common_stems()} == set(BANDS)


@pytest.mark.parametrize("name", BANDS)
def test_a_stem_lies_within_its_own_band(all_measures: dict[str, Measures], name: str) -> None:
    assert outside(BANDS[name], all_measures[name]) == []


def test_another_seed_is_the_same_instrument(engine: ProceduralEngine) -> None:
    stems = [stem for stem in common_stems() if stem.spec.kind == "oneshot"]
    wrong = {stem.name: outside(BANDS[stem.name], sounded(engine, stem, seed=3)) for stem in stems}
    assert {name: words for name, words in wrong.items() if words} == {}


def test_two_swapped_stems_are_noticed_whichever_they_are(all_measures: dict[str, Measures]) -> None:
    unnoticed = [
        (one, other)
        for one in BANDS
        for other in BANDS
        if one < other and not outside(BANDS[one], all_measures[other]) and not outside(BANDS[other], all_measures[one])
    ]
    assert unnoticed == []


def test_no_stem_passes_for_another(all_measures: dict[str, Measures]) -> None:
    taken = [
        (one, other)
        for one in BANDS
        for other in BANDS
        if one != other and not outside(BANDS[one], all_measures[other])
    ]
    assert taken == []

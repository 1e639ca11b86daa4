"""What is asked to be long sounds to its end."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engines.procedural.dsp.signal import RATE
from bridge.engines.procedural.render import render
from bridge.sounds.orders import generate_order

GUIDE = [
    "dark industrial techno kick, distorted, 135 bpm, aggressive",
    "lo-fi hip hop piano chords, jazzy, warm, nostalgic, 85 bpm",
    "epic orchestral brass, cinematic, triumphant, major key",
    "punchy 4/4 techno kick drum pattern 128 bpm",
    "brazilian batucada percussion with surdo and tamborim",
    "trap hi-hats with rolls and 808 kick",
    "deep rolling bassline in C minor, techno style",
    "funky slap bass groove 120 bpm",
    "massive dubstep wobble bass",
    "ethereal synth arpeggio in A minor",
    "jazzy piano chords progression",
    "epic orchestral brass melody",
    "angelic choir singing ahhh",
    "robotic vocoder vocal",
    "ethereal female vocal pad",
    "dark atmospheric drone pad",
    "evolving ambient texture",
    "cinematic tension riser",
]
"""The example prompts of the Strudel guide (contract A)."""


def longest_silence(prompt: str, seconds: float, *, guess_kind: bool) -> float:
    """Seconds below -60 dB in one piece. ``guess_kind``: as page, command line and batch ask; else as HTTP does."""
    order, _ = generate_order({"prompt": prompt, "duration": seconds}, guess_kind=guess_kind)
    spec = order.spec.resolved("procedural")
    signal = np.atleast_2d(render(spec, spec.seconds, lambda _: None))
    assert signal.shape[1] == round(seconds * RATE)
    pieces = signal[:, : signal.shape[1] // 441 * 441].reshape(len(signal), -1, 441)
    quiet = np.sqrt((pieces**2).mean(axis=(0, 2))) < 1e-3
    ends = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]])))
    return float(max((ends[1::2] - ends[::2]).max(initial=0), 0)) / 100


@pytest.mark.parametrize("guess_kind", [False, True], ids=["http", "page and command line"])
@pytest.mark.parametrize("prompt", GUIDE)
def test_the_guides_examples_are_nowhere_silent_for_half_a_second(prompt: str, guess_kind: bool) -> None:
    assert longest_silence(prompt, 8.0, guess_kind=guess_kind) <= 0.5


@pytest.mark.parametrize("guess_kind", [False, True], ids=["http", "page and command line"])
@pytest.mark.parametrize(
    ("prompt", "seconds"),
    [
        ("Upbeat jazz piano with smooth saxophone", 30.0),
        ("Energetic rock guitar solo", 20.0),
        ("upbeat electronic music", 20.0),
        ("Peaceful classical piano with strings", 20.0),
        ("glitch", 8.0),
        ("metal hit", 8.0),
        ("laser zap", 8.0),
        ("marimba", 4.0),
        ("snare", 4.0),
    ],
)
def test_no_second_of_what_is_asked_to_be_long_is_silent(prompt: str, seconds: float, guess_kind: bool) -> None:
    assert longest_silence(prompt, seconds, guess_kind=guess_kind) < 1.0

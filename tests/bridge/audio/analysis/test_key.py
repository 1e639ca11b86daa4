"""In which key a sound is."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.key import NAMES, Key, find_key, key_match, mirex_score
from bridge.plugins.clip import Clip
from tests.material import FOUR_FOUR, RATE, drum, pad, play


def test_keys_of_loops_with_chords_are_found():
    scores = []
    for index in range(16):
        root, minor = 40 + index % 12, index % 2 == 1
        genre = ("house", "boombap", "rock", "keys")[index % 4]
        clip = play(genre, 120, root=root, minor=minor, seconds=8, seed=index).clip
        key = find_key(clip)
        scores.append(mirex_score(key.name if key else "", NAMES[root % 12] + "m" * minor))
    assert np.mean(scores) > 0.85


@pytest.mark.parametrize(("chord", "name"), [((48, 52, 55), "c"), ((45, 48, 52), "am"), ((54, 58, 61), "f#")])
def test_a_chord_is_its_key(chord, name):
    assert find_key(Clip.of(pad(chord, 4, RATE), RATE)).name == name


@pytest.mark.parametrize("genre", [name for name in FOUR_FOUR if name != "keys"])
def test_drums_have_no_key(genre):
    assert find_key(play(genre, 120, seconds=6, tonal=False).clip) is None


def test_noise_silence_and_single_hits_have_no_key():
    noise = np.random.default_rng(0).standard_normal(3 * RATE)
    for wave in (noise, np.zeros(RATE), drum("snare", RATE), np.full(RATE, 0.2)):
        assert find_key(Clip.of(wave, RATE)) is None


@pytest.mark.parametrize(
    ("found", "wanted", "score"),
    [
        ("c", "c", 1.0),
        ("g", "c", 0.5),
        ("f", "c", 0.5),
        ("am", "c", 0.3),
        ("c", "am", 0.3),
        ("cm", "c", 0.2),
        ("d", "c", 0.0),
        ("em", "c", 0.0),
        ("bbm", "a#m", 1.0),
        ("C major", "c", 1.0),
        ("no key", "c", 0.0),
        ("c", "", 0.0),
    ],
)
def test_scores_are_those_of_mirex(found, wanted, score):
    assert mirex_score(found, wanted) == score


@pytest.mark.parametrize(
    ("wanted", "match"),
    [("bm", 1.0), ("am", 0.3), ("c", 0.3), ("em", 0.5), ("g#m", 0.0), ("a", 0.0), ("no key", 0.0)],
)
def test_the_tones_of_a_scale_count_as_much_as_its_relative_key(wanted, match):
    tones = {"b": 0.3, "d": 0.2, "f": 0.15, "a": 0.15, "e": 0.1, "g": 0.1}
    found = Key("bm", 0.7, tuple(tones.get(name, 0.0) for name in NAMES))
    assert key_match(found, wanted) == match

"""The quality gate: what fails is told, with one score for all of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import bridge.audio
from bridge.audio.finishing.gate import FLAGS, RULES, judge
from bridge.plugins.clip import Clip
from prompts import Kind, SampleSpec

RATE = 44100


def spec(kind: str, prompt: str = "dusty tone", **fields: object) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": prompt, "kind": kind, **fields})


def noise(seconds: float = 1.0, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((channels, round(seconds * RATE))) * 0.1


def burst(before: float = 0.0, after: float = 0.0) -> Clip:
    """A hit that ends at zero, with silence around it (seconds)."""
    time = np.arange(RATE // 2) / RATE
    hit = np.sin(2 * np.pi * 3000 * time) * np.exp(-time * 14) * np.minimum(1, (time[-1] - time) * 200)
    return Clip.of(np.concatenate([np.zeros(round(before * RATE)), hit, np.zeros(round(after * RATE))]), RATE)


def test_a_good_sample_has_no_flag_and_a_high_score():
    found = judge(burst(), spec("oneshot"))
    assert (found.flags, found.score) == ([], pytest.approx(1, abs=0.1))
    assert found.measures["head_silence_ms"] < 1


@pytest.mark.parametrize(
    ("flag", "clip", "wanted", "found"),
    [
        ("late_start", burst(before=0.05), spec("oneshot"), {}),
        ("long_tail", burst(after=0.2), spec("oneshot"), {}),
        ("cut_off", Clip.of(noise(0.2), RATE), spec("oneshot"), {}),
        ("clipped", burst(), spec("oneshot"), {"flat_tops": 3}),
        ("noisy", burst(), spec("oneshot"), {"noise_floor_db": -40.0}),
        ("offset", Clip(burst().samples + np.float32(0.01), RATE), spec("raw"), {}),
        ("mono_loss", Clip.of(np.stack([noise()[0], -0.9 * noise()[0]]), RATE), spec("raw"), {}),
        ("audible_seam", Clip.of(np.sin(np.arange(RATE) * 0.0203), RATE), spec("loop", bars=1, bpm=240), {}),
        ("off_grid", Clip.of(noise(), RATE), spec("loop", bars=1, bpm=240), {"tempo_error_percent": 14.0}),
        ("seam_bump", Clip.of(noise(2) * np.linspace(1, 0.2, 2 * RATE), RATE), spec("texture", duration=2), {}),
        ("out_of_tune", burst(), spec("pitched"), {"pitch_error_cents": 20.0}),
        ("unsteady_pitch", burst(), spec("pitched"), {"pitch_stability_cents": 40.0}),
        ("dull", Clip.of(np.sin(np.arange(RATE) * 0.1), RATE),
         spec("oneshot", "open hat"), {}),
    ],
)  # fmt: skip
def test_what_fails_is_told(flag, clip, wanted, found):
    judged = judge(clip, wanted, found=found)
    assert flag in judged.flags
    assert judged.score < 0.76
    assert judged.score < judge(burst(), spec("oneshot")).score


def test_highs_are_asked_of_hats_alone_and_not_of_dark_ones():
    bass = Clip.of(np.sin(np.arange(RATE) * 0.02) * np.linspace(1, 0, RATE), RATE)
    assert "dull" not in judge(bass, spec("oneshot", "deep bass")).flags
    assert "dull" not in judge(bass, spec("oneshot", "dark dusty hat")).flags
    assert "dull" in judge(bass, spec("oneshot", "closed hat")).flags


def test_silence_behind_a_sound_that_was_to_be_so_long_is_no_mistake():
    assert judge(burst(after=0.5), spec("oneshot", duration=1)).flags == []


def chord(*classes: int) -> Clip:
    time = np.arange(2 * RATE) / RATE
    notes = [261.63 * 2 ** (n / 12) for n in classes]
    return Clip.of(sum(np.sin(2 * np.pi * hertz * h * time) / h for hertz in notes for h in (1, 2, 3)) * 0.05, RATE)


def test_another_key_than_the_one_asked_for_is_told():
    assert "other_key" not in judge(chord(0, 4, 7, 12), spec("texture", duration=2, key="c")).flags
    assert "other_key" in judge(chord(1, 5, 8, 13), spec("texture", duration=2, key="c")).flags
    assert "key_match" not in judge(chord(0, 4, 7), spec("texture", duration=2)).measures
    assert "key_match" not in judge(Clip.of(noise(2), RATE), spec("texture", duration=2, key="c")).measures


def test_what_the_steps_noticed_counts_too():
    calm = judge(burst(), spec("oneshot"))
    told = judge(burst(), spec("oneshot"), flags=["peak_limited", "peak_limited"])
    assert told.flags == ["peak_limited"]
    assert told.score < calm.score


def test_a_mark_falls_from_good_over_passing_to_nothing():
    for rules in RULES.values():
        for rule in rules:
            far = rule.passing + (rule.passing - rule.good) * 5
            marks = [rule.mark(value) for value in (rule.good, rule.passing, far)]
            assert marks == [1.0, pytest.approx(0.5), 0.0], rule


def test_every_flag_has_a_sentence_and_every_flag_in_the_code_is_listed():
    assert all(sentence.endswith(".") for sentence in FLAGS.values())
    assert {rule.flag for rules in RULES.values() for rule in rules} <= set(FLAGS)
    code = "".join(
        (Path(bridge.audio.__file__).parent / "finishing" / name).read_text() for name in ("steps.py", "chains.py")
    )
    assert set(re.findall(r'flags\.append\("(\w+)"\)', code)) <= set(FLAGS)
    assert set(RULES) == set(Kind)

"""Whatever an engine makes, every step that knows about time answers: no error, no NaN, the length asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.audio.analysis.grid import fit_grid
from bridge.audio.analysis.key import find_key
from bridge.audio.analysis.onset import onsets, trim_onset, trim_tail
from bridge.audio.analysis.pitch import find_pitch, tune
from bridge.audio.finishing.loop import cut_loop, loop_frames
from bridge.audio.finishing.slices import cuts, retime
from bridge.audio.finishing.stretch import stretch
from bridge.audio.finishing.texture import seamless
from bridge.plugins.clip import Clip
from tests.material import pad, play

DRUMS = play("break", 120, seconds=3, lead=0.1).clip.samples[0]
DICE = np.random.default_rng(1)


def holes() -> np.ndarray:
    wave = DRUMS.copy()
    wave[1000:1010] = math.nan
    wave[5000] = math.inf
    return wave


ODD = {
    "nothing": Clip(np.zeros((1, 0), np.float32), 44100),
    "no channels": Clip(np.zeros((0, 100), np.float32), 44100),
    "one sample": Clip.of([0.5], 44100),
    "seven samples": Clip.of([0.5, -0.5, 0.1, 0.4, -0.9, 0.2, 0.3], 44100),
    "a click": Clip.of(np.eye(1, 20000, 700)[0], 44100),
    "silence": Clip.of(np.zeros((2, 90000)), 44100),
    "an offset": Clip.of(np.full((2, 90000), 0.5), 44100),
    "NaN and infinity": Clip.of(holes(), 32000),
    "all NaN": Clip.of(np.full(5000, math.nan), 32000),
    "clipped": Clip.of(np.clip(DRUMS * 50, -1, 1), 32000),
    "tiny": Clip.of(DRUMS * 1e-9, 32000),
    "huge": Clip.of(DRUMS * 1e6, 32000),
    "eight channels": Clip.of(np.stack([DRUMS * each for each in range(8)]), 32000),
    "8 kHz": Clip.of(DRUMS[::4], 8000),
    "192 kHz": Clip.of(np.repeat(DRUMS[:40000], 6), 192000),
    "1 kHz": Clip.of(DRUMS[::32], 1000),
    "no onsets": Clip.of(pad((40, 47), 3, 32000), 32000),
    "white noise": Clip.of(DICE.standard_normal(70000), 44100),
    "half silent": Clip.of(np.concatenate((np.zeros(48000), DRUMS[:30000])), 32000),
}


def whole(clip: Clip) -> bool:
    return bool(np.isfinite(clip.samples).all())


@pytest.mark.parametrize("clip", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize(("bpm", "meter"), [(20, (4, 4)), (400, (4, 4)), (120, (3, 4)), (97, (7, 8))])
def test_a_loop_of_anything_is_as_long_as_its_bars(clip, bpm, meter):
    beats, unit = meter
    loop, facts = cut_loop(clip, bars=1, bpm=bpm, beats_per_bar=beats, beat_unit=unit)
    assert loop.frames == loop_frames(clip.rate, 1, bpm, beats, unit)
    assert loop.channels == clip.channels
    assert whole(loop)
    assert math.isfinite(facts.seam_z)
    assert math.isfinite(facts.stretch_ratio)


@pytest.mark.parametrize("clip", ODD.values(), ids=list(ODD))
def test_every_step_takes_anything(clip):
    for bpm in (20, 400, 0, -3, math.nan, 1e9):
        grid = fit_grid(clip, bpm)
        assert math.isfinite(grid.bpm + grid.phase_s + grid.downbeat_s + grid.confidence)
        assert 0 <= grid.phase_s <= grid.beat_s
    assert all(0 <= time <= clip.seconds for time in onsets(clip))
    assert whole(trim_onset(clip)[0]) or not whole(clip)
    assert whole(trim_tail(clip)[0]) or not whole(clip)
    pitch = find_pitch(clip)
    assert math.isfinite(pitch.cents + pitch.confidence + pitch.stability_cents)
    tune(clip, pitch)
    key = find_key(clip)
    assert key is None or math.isfinite(key.confidence)
    texture, facts = seamless(clip, 0.777)
    assert texture.frames == round(0.777 * clip.rate)
    assert whole(texture)
    assert math.isfinite(facts.correlation + facts.seam_z)


@pytest.mark.parametrize("clip", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("percussive", [None, True])
def test_anything_can_be_stretched(clip, percussive):
    for frames in (1, 7, 1000, max(1, clip.frames - 3), round(clip.frames * 1.1) + 1):
        made = stretch(clip, frames, percussive=percussive)
        assert (made.channels, made.frames) == (clip.channels, frames)
        assert whole(made)
    if clip.frames:
        assert retime(clip, clip.frames + 9, cuts(clip)).frames == clip.frames + 9

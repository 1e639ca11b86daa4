"""From an engine's clip to a sample that fits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.audio.analysis.loudness import decibels, heard_loudness, true_peak
from bridge.audio.finishing import chains
from bridge.audio.finishing.chains import CHAINS, RATE, Finished, best_of, finish, needed_seconds
from bridge.audio.finishing.gate import FLAGS, RULES, Quality
from bridge.errors import BadAudio, JobCancelled
from bridge.plugins.clip import Clip
from prompts import Kind, SampleSpec

EVERY_KIND = [
    {"kind": "oneshot"},
    {"kind": "pitched"},
    {"kind": "loop", "bars": 1, "bpm": 240},
    {"kind": "texture", "duration": 1},
    {"kind": "stem", "duration": 1},
    {"kind": "raw", "duration": 1},
]


def spec(kind: str, **fields: object) -> SampleSpec:
    return SampleSpec.model_validate({"prompt": "dusty tone", "kind": kind, **fields})


def noise(seconds: float, rate: int = RATE, channels: int = 1, level: float = 0.3) -> Clip:
    dice = np.random.default_rng(1)
    return Clip(dice.uniform(-level, level, (channels, round(seconds * rate))).astype(np.float32), rate)


def pluck(hertz: float, *, lead: float = 0.0, seconds: float = 1.0, rate: int = RATE) -> Clip:
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 6)) * np.exp(-6 * time) * 0.3
    return Clip.of(np.concatenate([np.zeros(round(lead * rate)), tone]), rate)


def kicks(bpm: float, seconds: float, *, first: float = 0.0, rate: int = RATE) -> Clip:
    """Four to the floor, the first of each bar lower and louder, hats between."""
    out = np.zeros(round(seconds * rate))
    time = np.arange(round(0.12 * rate)) / rate
    hat = np.random.default_rng(2).standard_normal(len(time)) * np.exp(-time * 80) * 0.1
    beat = 60 / bpm
    for n in range(int((seconds - first) / beat * 2) + 1):
        at = round((first + n * beat / 2) * rate)
        hit = hat if n % 2 else np.sin(2 * np.pi * (60 if n % 8 == 0 else 90) * time) * np.exp(-time * 25)
        hit = hit * (1.0 if n % 8 == 0 else 0.7)
        out[at : at + len(hit)] += hit[: max(0, len(out) - at)]
    return Clip.of(out * 0.5, rate)


@pytest.mark.parametrize("bpm", [92, 87.3, 174, 61.803])
@pytest.mark.parametrize("meter", [None, "3/4", "7/8"])
@pytest.mark.parametrize("made", [0.4, 1.3])
@pytest.mark.parametrize("rate", [RATE, 32000])
def test_a_loop_is_as_long_as_its_bars_to_the_frame(bpm, meter, made, rate):
    wanted = spec("loop", bars=2, bpm=bpm, meter=meter)
    done = finish(noise(wanted.seconds * made, rate), wanted)
    assert (done.clip.rate, done.clip.frames) == (RATE, round(wanted.seconds * RATE))


@pytest.mark.parametrize("kind", ["oneshot", "pitched", "texture", "stem", "loop"])
@pytest.mark.parametrize("duration", [0.1, 0.7654321, 3])
def test_a_duration_is_exact_whatever_the_engine_made(kind, duration):
    for made in (0.3, 1.0, 2.0):
        clip = finish(noise(duration * made, 32000, channels=2), spec(kind, duration=duration)).clip
        assert (clip.rate, clip.channels, clip.frames) == (RATE, 2, round(duration * RATE))


def test_the_rate_is_what_is_set_and_raw_keeps_the_engines():
    assert finish(noise(1, 32000), spec("texture", duration=1), rate=48000).clip.rate == 48000
    raw = finish(noise(2, 32000), spec("raw", duration=1.5), rate=48000).clip
    assert (raw.rate, raw.frames) == (32000, 48000)


def test_a_one_shot_starts_within_a_millisecond_of_its_attack_and_ends_in_silence():
    done = finish(pluck(330, lead=0.21, seconds=2.0), spec("oneshot"))
    samples = np.abs(done.clip.samples[0])
    assert int(np.argmax(samples > 0.1 * samples.max())) <= 0.0015 * RATE
    assert samples[-1] < 1e-5
    assert done.clip.seconds < 1.6
    assert decibels(true_peak(done.clip)) == pytest.approx(-1, abs=0.05)
    assert (done.quality.flags, done.fits) == ([], True)


def test_a_sound_that_falls_to_its_end_keeps_its_tail():
    """The quietest tenth of a decaying sound is its own tail, and no noise that would hide it."""
    done = finish(pluck(330, seconds=1.2), spec("oneshot"))
    assert done.clip.seconds > 1.0


def test_hiss_under_a_sound_is_cut_off_and_told():
    clip = pluck(330, seconds=2.0)
    clip.samples[:] += np.random.default_rng(3).standard_normal(clip.samples.shape).astype(np.float32) * 0.003
    done = finish(clip, spec("oneshot"))
    assert done.quality.flags == ["noisy"]
    assert done.quality.measures["noise_floor_db"] == pytest.approx(-40, abs=8)
    assert done.clip.seconds < 1.5


def test_a_pitched_sound_is_in_tune_and_knows_its_root():
    done = finish(pluck(220 * 2 ** (0.3 / 12)), spec("pitched"))
    assert done.facts["root"] == "a3"
    assert done.quality.measures["pitch_error_cents"] <= 5


@pytest.mark.parametrize(
    ("hertz", "note", "root"),
    [
        ((220 * 2 ** (0.3 / 12),), 69, "a4"),  # an organ, whose lowest pipe is an octave under the key
        ((110.0, 164.81, 220.0), 45, "a2"),  # a power chord, heard an octave under its root
        ((110.0, 151.3, 247.1), 45, "a2"),  # a bell
    ],
)
def test_an_engine_that_knows_its_note_is_believed(hertz: tuple[float, ...], note: int, root: str):
    clip = Clip(np.sum([pluck(each).samples for each in hertz], axis=0, dtype=np.float32), RATE)
    assert finish(clip, spec("pitched")).facts.get("root") != root
    done = finish(clip, spec("pitched"), note=note)
    assert done.facts["root"] == root
    assert "no_pitch" not in done.quality.flags
    assert done.quality.measures.get("pitch_error_cents", 0) <= 5


def test_drums_asked_for_as_a_pitched_sound_have_no_root_and_say_so():
    done = finish(noise(0.3), spec("pitched"))
    assert "no_pitch" in done.quality.flags
    assert "root" not in done.facts


def test_a_loop_is_cut_from_its_bar_line_and_brought_to_its_tempo():
    wanted = spec("loop", bars=2, bpm=120)
    done = finish(kicks(123, 6.0, first=0.3), wanted)
    assert done.clip.frames == 4 * RATE
    assert done.fits
    assert done.quality.measures["tempo_error_percent"] == pytest.approx(2.5, abs=0.2)
    head = np.abs(done.clip.samples[0, : round(0.01 * RATE)])
    assert head.max() > 0.2, "it begins with a kick"
    assert any("bar line" in each for each in done.decisions)


def test_a_loop_far_off_its_tempo_is_kept_with_a_flag():
    done = finish(kicks(150, 6.0), spec("loop", bars=2, bpm=120))
    assert not done.fits
    assert "off_grid" in done.quality.flags
    assert done.clip.frames == 4 * RATE


def test_a_loop_that_the_engine_rendered_round_is_not_cut_again():
    """Shifted by an eighth: whoever looked for a bar line would move it."""
    frames = 2 * RATE
    time = np.arange(frames) / RATE
    ring = Clip.of(0.4 * np.sin(2 * np.pi * 110 * time) + 0.2 * np.sin(2 * np.pi * 3000 * time), RATE)
    ring.samples[:, 11025:12000] *= 2.0
    done = finish(ring, spec("loop", bars=1, bpm=120), exact_loops=True)
    ratio = done.clip.samples[0, 3000:9000] / np.where(
        np.abs(ring.samples[0, 3000:9000]) < 0.05, np.nan, ring.samples[0, 3000:9000]
    )
    assert np.nanstd(ratio) < 0.01 * np.nanmean(ratio)
    assert done.quality.measures["seam_z"] < 1.6


@pytest.mark.parametrize("kind", ["loop", "stem"])
def test_loops_and_stems_are_equally_loud_in_mono_and_stereo(kind):
    for channels in (1, 2):
        clip = finish(noise(3, channels=channels, level=0.05), spec(kind, duration=2)).clip
        assert heard_loudness(clip) == pytest.approx(-13, abs=0.1)
    assert true_peak(clip) <= 10 ** (-0.99 / 20)


def test_textures_and_held_notes_are_softer_and_struck_ones_stand_at_the_peak():
    assert heard_loudness(finish(noise(4), spec("texture", duration=2)).clip) == pytest.approx(-18, abs=0.1)
    held = Clip.of(np.sin(2 * np.pi * 220 * np.arange(2 * RATE) / RATE), RATE)
    assert heard_loudness(finish(held, spec("pitched")).clip) == pytest.approx(-18, abs=0.1)
    assert decibels(true_peak(finish(pluck(220), spec("pitched")).clip)) == pytest.approx(-1, abs=0.05)


def test_channels_keep_their_balance_and_eight_become_two():
    clip = noise(1, channels=2)
    clip.samples[1] *= 0.25
    left, right = np.abs(finish(clip, spec("texture", duration=1)).clip.samples).max(axis=1)
    assert right / left == pytest.approx(0.25, rel=0.1)
    assert finish(noise(1, channels=8), spec("oneshot")).clip.channels == 2
    assert finish(noise(1, channels=1), spec("oneshot")).clip.channels == 1


def test_no_offset_is_left_in_the_part_that_was_asked_for():
    """Twice as much was made, with an offset that cancels itself out over the whole."""
    clip = noise(2)
    clip.samples[:, :RATE] += 0.2
    clip.samples[:, RATE:] -= 0.2
    for kind in ("stem", "raw"):
        assert abs(float(finish(clip, spec(kind, duration=1)).clip.samples.mean(dtype=np.float64))) < 1e-2
        assert finish(clip, spec(kind, duration=1)).quality.measures["dc"] < 1e-2


@pytest.mark.parametrize("fields", EVERY_KIND, ids=lambda fields: fields["kind"])
@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(noise(0.5, 8000), id="8 kHz"),
        pytest.param(noise(0.5, 192000), id="192 kHz"),
        pytest.param(noise(0.5, channels=8), id="eight channels"),
        pytest.param(Clip.of(np.clip(pluck(110).samples * 9, -1, 1), RATE), id="clipped"),
        pytest.param(noise(1, level=25.0), id="very loud"),
        pytest.param(noise(1, level=1e-4), id="very soft"),
        pytest.param(Clip.of([0.5, -0.5, 0.4], RATE), id="three samples"),
        pytest.param(Clip.of(np.eye(1, RATE, 7)[0], RATE), id="one click"),
        pytest.param(Clip.of(np.sin(np.arange(RATE) / 30) * 0.5 + 0.5, RATE), id="offset"),
    ],
)
def test_odd_material_becomes_a_sound_of_finite_numbers_under_the_ceiling(fields, clip):
    done = finish(clip, spec(**fields))
    assert done.clip.frames > 0
    assert np.isfinite(done.clip.samples).all()
    assert decibels(true_peak(done.clip)) <= -0.9
    assert set(done.quality.flags) <= set(FLAGS) - {"step_skipped"}
    assert all(type(value) is float and math.isfinite(value) for value in done.quality.measures.values())
    assert 0 <= done.quality.score <= 1


@pytest.mark.parametrize("bpm", [20, 400])
def test_the_slowest_and_the_fastest_loop_are_made(bpm):
    wanted = spec("loop", bars=1, bpm=bpm, meter="7/8")
    assert finish(kicks(bpm, wanted.seconds * 1.3), wanted).clip.frames == round(wanted.seconds * RATE)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([], id="nothing"),
        pytest.param([0.0] * 1000, id="silence"),
        pytest.param([0.5] * 1000, id="an offset alone"),
        pytest.param([0.5], id="one sample"),
        pytest.param([0.1, math.nan] * 500, id="nan"),
        pytest.param([0.1, -math.inf] * 500, id="infinity"),
        pytest.param([3.4e38, -3.4e38, -3.4e38, 3.4e38, 3.4e38] * 500, id="numbers that overflow when resampled"),
    ],
)
@pytest.mark.parametrize("fields", EVERY_KIND, ids=lambda fields: fields["kind"])
def test_what_is_no_sound_is_refused_with_a_sentence(samples, fields):
    clip = Clip(np.array([samples], dtype=np.float32), 32000)
    with pytest.raises(BadAudio, match=r"Try |choose"):
        finish(clip, spec(**fields))


def test_a_part_that_is_as_good_as_silent_is_not_blown_up_to_noise():
    clip = noise(2, level=1e-7)
    clip.samples[:, RATE + 100 :] *= 3e6
    with pytest.raises(BadAudio, match="requested part"):
        finish(clip, spec("raw", duration=1))


def test_a_step_that_trips_is_left_out_and_told(monkeypatch):
    def trips(take):
        raise ValueError("odd material")

    def breaks(take):
        take.clip.samples[:, 0]  # it may look
        return take.now(Clip(np.full_like(take.clip.samples, np.nan), take.clip.rate))

    monkeypatch.setitem(CHAINS, Kind.STEM, (trips, breaks, *CHAINS[Kind.STEM]))
    done = finish(noise(1), spec("stem", duration=1))
    assert done.quality.flags == ["step_skipped"]
    assert np.isfinite(done.clip.samples).all()
    assert [each for each in done.decisions if "left out" in each] == [
        "left out step trips, which failed",
        "left out step breaks, which failed",
    ]


def test_engines_are_asked_for_what_finishing_needs():
    def asked(exact: bool = False, longest: float = 120, **fields: object) -> float | None:
        return needed_seconds(spec(**fields), exact_loops=exact, longest=longest)  # type: ignore[arg-type]

    assert asked(kind="oneshot") is None
    assert asked(kind="pitched", duration=2) == 2
    assert asked(kind="raw", duration=2) == 2
    assert asked(kind="stem", duration=8) == 9
    assert asked(kind="texture", duration=8) == 9.5
    assert 5.5 <= asked(kind="loop", bars=2, bpm=120) <= 7
    assert asked(kind="loop", bars=2, bpm=120, meter="3/4") < 5.5
    for kind in ("loop", "texture", "stem"):
        assert asked(exact=True, kind=kind, duration=8, bpm=120) == 8
        assert asked(longest=8.2, kind=kind, duration=8, bpm=120) == 8.2
        assert asked(longest=7, kind=kind, duration=8, bpm=120) == 8


def test_of_several_takes_the_one_that_fits_is_kept_else_the_nearest():
    def take(error: float, *flags: str) -> Finished:
        return Finished(noise(0.1), Quality({"tempo_error_percent": error}, list(flags), 1.0))

    far, near, fits = take(30, "off_grid"), take(20, "off_grid"), take(3)
    assert best_of([far, near]) is near
    assert best_of([far, near, fits]) is fits


def test_every_kind_has_a_chain_and_rules():
    assert set(CHAINS) == set(RULES) == set(Kind)
    assert chains.RATE == 44100


def test_finishing_can_be_stopped_between_its_steps():
    """A cancelled sound of two minutes would be finished for seconds otherwise."""
    wanted = spec("texture", duration=1)
    calls = []
    finish(noise(1.0), wanted, between=lambda: calls.append(len(calls)))
    assert len(calls) == len(CHAINS[Kind.TEXTURE]) + 1

    def stop() -> None:
        raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        finish(noise(1.0), wanted, between=stop)

"""Finishing: how well tempo, bars, seams, attacks and pitches are found, on material of which the truth is known.

The material is played by ``tests.material``: seven genres, 10 s, mono, 32 kHz, up to 5 % off the tempo asked for, with
up to 0.35 s before the first beat, every third cut into its bar. The hard clips have 8 ms jitter, 1 % drift, noise,
saturation and on every second one swing.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from bridge.audio.analysis.grid import Grid, fit_grid
from bridge.audio.analysis.key import find_key
from bridge.audio.analysis.onset import trim_onset, trim_tail
from bridge.audio.analysis.pitch import find_pitch, tune
from bridge.audio.finishing.chains import finish
from bridge.audio.finishing.loop import cut_loop, loop_frames, seam_z
from bridge.audio.finishing.stretch import has_signalsmith
from bridge.plugins.clip import Clip
from prompts import SampleSpec
from tests.benchmarks._figure import Figure, median, percentile, skipped
from tests.material import RATE, Played, clean_set, drum, hard_set, note

CLIPS = 60
FLOORS_DB = (-70.0, -55.0, -45.0)


async def measure() -> dict[str, Figure]:
    """Grid, loops, one-shots, pitch and the time all this takes on one core."""
    clean, hard = clean_set(CLIPS), hard_set(CLIPS)
    return {
        **_grids(clean, hard),
        **_librosa(clean, hard),
        **_loops(clean, "clean", 0.02),
        **_loops(hard, "hard", None),
        **_one_shots(),
        **_pitches(),
        **_speed(clean),
    }


def _grids(clean: Sequence[Played], hard: Sequence[Played]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    bars = {"clean": (98.0, 100.0, 90.0), "hard": (None, 95.0, None)}
    for name, clips in (("clean", clean), ("hard", hard)):
        grids = [fit_grid(each.clip, each.asked_bpm) for each in clips]
        errors = [abs(grid.bpm / each.bpm - 1) * 100 for grid, each in zip(grids, clips, strict=True)]
        right = [_off_bar(grid, each) < 0.05 for grid, each in zip(grids, clips, strict=True)]
        tenth, half, downbeat = bars[name]
        figures |= {
            f"grid, {name}: within 0.1 %": Figure(_share(errors, 0.1), "%", tenth, "higher", f"{len(clips)} clips"),
            f"grid, {name}: within 0.5 %": Figure(_share(errors, 0.5), "%", half, "higher"),
            f"grid, {name}: median error": Figure(median(errors), "%"),
            f"grid, {name}: downbeat right": Figure(100 * float(np.mean(right)), "%", downbeat, "higher"),
        }
    return figures


def _off_bar(grid: Grid, played: Played) -> float:
    """Seconds from a bar line of the truth."""
    bar = grid.bar_s
    return abs((grid.downbeat_s - played.bars[0] + bar / 2) % bar - bar / 2)


def _librosa(clean: Sequence[Played], hard: Sequence[Played]) -> dict[str, Figure]:
    """Show what a blind beat tracker makes of the same clips, told the tempo and straightened by least squares."""
    try:
        import librosa
    except ImportError:
        why = "librosa is not installed: pip install -e '.[bench]'"
        return {"grid, librosa beside it": skipped("%", why)}
    figures: dict[str, Figure] = {}
    for name, clips in (("clean", clean), ("hard", hard)):
        errors = []
        for each in clips:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wave = librosa.resample(each.clip.samples[0], orig_sr=RATE, target_sr=22050)
                _, beats = librosa.beat.beat_track(y=wave, sr=22050, start_bpm=each.asked_bpm, units="time")
            slope = float(np.polyfit(np.arange(len(beats)), beats, 1)[0]) if len(beats) > 3 else 60.0
            octave = min((0.5, 1.0, 2.0), key=lambda octave: abs(60 / slope * octave / each.bpm - 1))
            errors.append(abs(60 / slope * octave / each.bpm - 1) * 100)
        note = "beats through a straight line, best octave"
        figures[f"grid, {name}: librosa within 0.1 %"] = Figure(_share(errors, 0.1), "%", note=note)
        figures[f"grid, {name}: librosa within 0.5 %"] = Figure(_share(errors, 0.5), "%")
    return figures


def _loops(clips: Sequence[Played], name: str, tempo_bar: float | None) -> dict[str, Figure]:
    lengths, tempi, seams, arbitrary = [], [], [], []
    for each in clips:
        bars = max(1, int(7.5 * each.asked_bpm / 240))
        loop, _ = cut_loop(each.clip, bars=bars, bpm=each.asked_bpm)
        lengths.append(abs(loop.frames - loop_frames(RATE, bars, each.asked_bpm)))
        twice = Clip(np.tile(loop.samples, (1, 2)), RATE)
        tempi.append(abs(fit_grid(twice, each.asked_bpm).bpm / each.asked_bpm - 1) * 100)
        seams.append(seam_z(loop))
        start = round(0.37 * RATE)
        arbitrary.append(seam_z(Clip(np.ascontiguousarray(each.clip.samples[:, start : start + loop.frames]), RATE)))
    again = "measured again on the loop, twice round"
    return {
        f"loops, {name}: length error": Figure(float(max(lengths)), "frames", 1.0, note=f"{len(clips)} loops, worst"),
        f"loops, {name}: tempo error, worst": Figure(max(tempi), "%", tempo_bar, note=again),
        f"loops, {name}: tempo error, median": Figure(median(tempi), "%"),
        f"loops, {name}: seam z, 95 %": Figure(percentile(seams, 95), "", 1.6),
        f"loops, {name}: seam z, worst": Figure(max(seams), "", 3.0),
        f"loops, {name}: seam z of an arbitrary cut": Figure(median(arbitrary), "", note=f"worst {max(arbitrary):.1f}"),
    }


def _one_shots() -> dict[str, Figure]:
    dice = np.random.default_rng(11)
    off, lasts, spent = [], [], []
    for floor in FLOORS_DB:
        for name in ("kick", "snare", "clap", "hat", "rim", "tom", "pluck"):
            wave = note(60, 0.6, RATE) if name == "pluck" else drum(name, RATE)
            wave = wave / np.abs(wave).max()
            start = int(dice.uniform(0.05, 0.5) * RATE)
            out = 10 ** (floor / 20) * dice.standard_normal(3 * RATE) + 0.01
            out[start : start + len(wave)] += wave
            truth = (start + int(np.argmax(np.abs(wave) > 0.05))) / RATE
            begun = time.process_time()
            trimmed, facts = trim_onset(Clip.of(out, RATE))
            ended, _ = trim_tail(trimmed)
            spent.append(time.process_time() - begun)
            off.append(abs(facts.start_s + 0.001 - truth) * 1000)
            lasts.append(float(np.abs(ended.samples[:, -1]).max()))
    noise = "noise floors of -70, -55 and -45 dB; 1 ms of pre-roll is meant"
    return {
        "one-shots: start off the attack, worst": Figure(max(off), "ms", 1.0, note=noise),
        "one-shots: last sample, worst": Figure(max(lasts), "", 1e-5),
        "one-shots: trim of 3 s": Figure(median(spent) * 1000, "ms"),
    }


def _pitches() -> dict[str, Figure]:
    off, spent = [], []
    for rate in (32000, 44100):
        for midi in np.arange(26, 96, 2.37):
            for partials in (1, 8):
                clip = Clip.of(note(float(midi), 0.8, rate, partials=partials), rate)
                begun = time.process_time()
                pitch = find_pitch(clip)
                tuned, _ = tune(clip, pitch)
                spent.append(time.process_time() - begun)
                # The truth: what was played, moved by as much as the length has changed.
                true = midi + 12 * np.log2(clip.frames / tuned.frames)
                off.append(abs(true - round(float(true))) * 100)
    return {
        "pitched: off the semitone after tuning, worst": Figure(max(off), "cents", 5.0, note=f"{len(off)} notes"),
        "pitched: pitch and tuning of 0.8 s": Figure(median(spent) * 1000, "ms"),
    }


def _speed(clips: Sequence[Played]) -> dict[str, Figure]:
    """Measure processor time of one thread, as in an engine's process: a busy machine does not matter much."""
    eight = [Clip(np.tile(each.clip.samples[:, : 8 * RATE], (2, 1)), RATE) for each in clips[:12]]
    asked = [each.asked_bpm for each in clips[:12]]
    pairs = list(zip(eight, asked, strict=True))

    def spent(work: Callable[[Clip, float], object]) -> float:
        times = []
        for clip, bpm in pairs:
            begun = time.thread_time()
            work(clip, bpm)
            times.append(time.thread_time() - begun)
        return median(times) * 1000

    def whole(clip: Clip, bpm: float) -> None:
        bars = max(1, int(7 * bpm / 240))
        finish(clip, SampleSpec(prompt="loop", kind="loop", bpm=bpm, bars=bars, seed=1).complete())

    stretcher = "Signalsmith and slices" if has_signalsmith() else "WSOLA and slices: python-stretch is not installed"
    return {
        "8 s in stereo: grid": Figure(spent(lambda clip, bpm: fit_grid(clip, bpm)), "ms"),
        "8 s in stereo: key": Figure(spent(lambda clip, _: find_key(clip)), "ms"),
        "8 s in stereo: the whole chain of a loop": Figure(spent(whole), "ms", 400.0, note=stretcher),
    }


def _share(values: Sequence[float], limit: float) -> float:
    return 100.0 * float(np.mean(np.array(values) <= limit))

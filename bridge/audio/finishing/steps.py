"""The steps of finishing: each takes a take, does one thing with the functions next to it, and says what it did."""

from __future__ import annotations

import numpy as np

from bridge.audio import processors
from bridge.audio.analysis.onset import trim_onset, trim_tail
from bridge.audio.analysis.pitch import Pitch, find_pitch, note_name, tune
from bridge.audio.finishing import dc, level
from bridge.audio.finishing.length import cut, exact, fade_out
from bridge.audio.finishing.loop import cut_loop
from bridge.audio.finishing.resample import resample, resample_ring
from bridge.audio.finishing.take import Take
from bridge.audio.finishing.texture import ring, seamless
from bridge.errors import BadAudio
from bridge.plugins.clip import Clip

SILENCE = 1e-5
"""-100 dBFS: raised to full level, what is below is nothing but noise."""
SURE_OF_PITCH = 0.5
"""Confidence from which a sound has a root."""

_HELD_DB, _HELD_SECONDS = 6.0, 0.5
"""A note that stays so near its loudest for this long is held; others are struck or plucked."""
_GONE = 10.0 ** (-60.5 / 20.0)
"""Share of the peak under which the end of a fade is silence."""
_WHOLE_BARS = 1e-3


def two_channels(take: Take) -> Take:
    """Keep mono and stereo; mix more channels to two, odd ones left, even ones right."""
    clip = take.clip
    if clip.channels <= 2:
        return take
    pair = np.stack([clip.samples[0::2].mean(axis=0), clip.samples[1::2].mean(axis=0)])
    return take.now(Clip(pair.astype(np.float32), clip.rate), f"mixed {clip.channels} channels to two")


def no_offset(take: Take) -> Take:
    """Take the mean out, and change nothing else."""
    return take.now(dc.remove_mean(take.clip))


def clean_low_end(take: Take) -> Take:
    """Remove offset and what lies under 20 Hz."""
    return take.now(dc.clean_low_end(take.clip, loop=take.ring), "removed everything under 20 Hz")


def at_rate(take: Take) -> Take:
    """Convert to the rate wanted."""
    clip = take.clip
    if clip.rate == take.rate:
        return take
    converted = resample_ring(clip, take.rate) if take.ring else resample(clip, take.rate)
    return take.now(converted, f"resampled from {clip.rate} to {take.rate} Hz")


def start_at_attack(take: Take) -> Take:
    """Begin 1 ms before the attack."""
    clip, found = trim_onset(take.clip, offset=False)
    return (
        take.now(clip, f"cut {found.start_s * 1000:.1f} ms before the attack") if found.start_s > 0 else take.now(clip)
    )


def end_when_gone(take: Take) -> Take:
    """End where the sound has died away, fading."""
    before = take.clip
    noise = _noise_db(before)
    if noise is not None:
        take.measures["noise_floor_db"] = round(noise, 1)
    elif not _sounds_at_its_end(before):
        # What falls to its end is not noise: silence behind it says so to the gate, which then stays at -60 dB.
        before = exact(before, round(before.frames * 1.2) + 1)
    clip, found = trim_tail(before, offset=False)
    if found.sounding and take.spec.seconds is None:
        take.flags.append("cut_off")
    clip = fade_out(_without_silent_end(clip))
    return take.now(clip, f"faded out to end at {clip.seconds:.3f} s")


def in_tune(take: Take) -> Take:
    """Tune to the nearest semitone, and know the root: what the engine says it is, else what is heard."""
    found = find_pitch(take.clip)
    known = None if take.note is None else note_name(take.note)
    if not _heard(found, take.note):
        if known is None:
            take.flags.append("no_pitch")
            return take.now(take.clip, "left its pitch alone, which is not clear")
        take.facts.update(root=known)
        return take.now(take.clip, f"left its pitch alone, which the engine says is {known}")
    clip, note = tune(take.clip, found)
    after = found if clip is take.clip else find_pitch(clip)
    note = known or note
    take.facts.update(root=note)
    take.measures["pitch_error_cents"] = round(abs(after.cents if after.midi is not None else 0.0), 2)
    take.measures["pitch_stability_cents"] = round(found.stability_cents, 2)
    return take.now(clip, f"tuned by {-found.cents:+.1f} cents to {note}")


def _heard(found: Pitch, note: int | None) -> bool:
    """Is the pitch that was found clear, and that of ``note`` in some octave, where that is known?

    A power chord is heard a fifth or an octave under its root, an organ an octave under its key.
    """
    if found.midi is None or found.note is None or found.confidence < SURE_OF_PITCH:
        return False
    return note is None or round(found.midi - note) % 12 == 0


def whole_bars(take: Take) -> Take:
    """Cut the bars asked for from a bar line, at their tempo, so that the end goes on into the beginning."""
    spec, clip, frames = take.spec, take.clip, take.frames
    if take.ring or frames is None:
        return take.now(clip, "rendered as a loop by the engine")
    upper, lower = (int(part) for part in (spec.meter or "4/4").split("/"))
    bars = (spec.beats or 0.0) / spec.bar_beats
    if spec.bpm is None or bars < 1 or abs(bars - round(bars)) > _WHOLE_BARS:
        loop, joined = ring(clip, frames)
        take.measures["repeats"] = joined.repeats
        return take.now(loop, f"cut to {loop.seconds:.3f} s, which are not whole bars, and joined its ends")
    loop, found = cut_loop(clip, bars=round(bars), bpm=spec.bpm, beats_per_bar=upper, beat_unit=lower)
    take.measures["tempo_error_percent"] = round(abs(found.tempo_error) * 100.0, 4)
    take.measures["stretch_ratio"] = found.stretch_ratio
    take.measures["grid_confidence"] = found.confidence
    for flag, failed in (
        ("off_grid", not found.fits),
        ("no_pulse", found.method == "time"),
        ("short_material", found.method == "repeated"),
    ):
        if failed:
            take.flags.append(flag)
    how = {
        "grid": "from a bar line",
        "beat": "from a beat",
        "repeated": "from fewer bars, repeated",
        "time": "by the clock",
    }
    return take.now(
        loop,
        f"cut {round(bars)} bars {how[found.method]} at {found.start_s:.3f} s",
        f"stretched to {found.stretch_ratio * 100:.2f} % of its length",
    )


def seamless_ring(take: Take) -> Take:
    """Join the end to the beginning without a bump."""
    if take.ring or take.spec.seconds is None:
        return take.now(take.clip, "rendered seamless by the engine")
    made, found = seamless(take.clip, take.spec.seconds)
    if found.repeats > 1:
        take.flags.append("short_material")
    return take.now(made, f"joined its ends over {found.fade_s:.2f} s")


def exact_length(take: Take) -> Take:
    """Cut, or extend with silence, to the length wanted; None lets it ring."""
    return take if take.frames is None else take.now(exact(take.clip, take.frames))


def clean_end(take: Take) -> Take:
    """Fade the last 5 ms out where the end is not silent."""
    return take.now(fade_out(take.clip))


def effects(take: Take) -> Take:
    """Send it through the processors that the spec names."""
    for name in take.spec.effects:
        take = take.now(processors.process(name, take.clip), f"sent through effect '{name}'")
    return take


def audible(take: Take) -> Take:
    """Refuse a part that is as good as silent: raised, it would be nothing but noise. Raises BadAudio."""
    if float(np.abs(take.clip.samples).max(initial=0.0)) < SILENCE:
        raise BadAudio(
            "The requested part of what the engine made is silent. Try other words, another seed or another engine."
        )
    return take


def to_peak(take: Take) -> Take:
    """Raise to -1 dBTP."""
    clip, found = level.to_peak(take.clip)
    take.measures.update(found.known)
    return take.now(clip, f"raised by {found.gain_db:+.1f} dB to {level.CEILING_DBTP:g} dBTP")


def to_loop_loudness(take: Take) -> Take:
    """Bring to -13 LUFS, and -1 dBTP at most."""
    return _to_loudness(take, level.LOOP_LUFS)


def to_sustained_loudness(take: Take) -> Take:
    """Bring to -18 LUFS, and -1 dBTP at most."""
    return _to_loudness(take, level.SUSTAINED_LUFS)


def to_note_level(take: Take) -> Take:
    """Bring what is held to -18 LUFS, what is struck or plucked to -1 dBTP."""
    return to_sustained_loudness(take) if _held(take.clip) else to_peak(take)


def _to_loudness(take: Take, lufs: float) -> Take:
    loop = str(take.spec.kind) in {"loop", "texture"}
    clip, found = level.to_loudness(take.clip, lufs, loop=loop)
    take.measures.update(found.known)
    if found.peak_limited:
        take.flags.append("peak_limited")
    said = [f"raised by {found.gain_db:+.1f} dB towards {lufs:g} LUFS"]
    if found.limited_db:
        take.measures["limited_db"] = found.limited_db
        said.append(f"took {found.limited_db:.1f} dB off its highest peak")
    return take.now(clip, *said)


def _held(clip: Clip) -> bool:
    """Does it stay within 6 dB of its loudest for half a second?"""
    levels = _levels_db(clip, 0.02)
    return int((levels > -_HELD_DB).sum()) * 0.02 >= _HELD_SECONDS


def _noise_db(clip: Clip) -> float | None:
    """Level of the noise that a clip ends in, dB under its loudest; None when its end falls, sounds or is silent."""
    levels = _levels_db(clip, 0.02)
    if len(levels) < 20:
        return None
    last, before = levels[-5:], levels[-15:-10]
    steady = abs(float(last.mean() - before.mean())) < 1.5
    return float(last.mean()) if steady and -90.0 < float(last.max()) < -20.0 else None


def _sounds_at_its_end(clip: Clip) -> bool:
    return float(_levels_db(clip, 0.005)[-2:].max(initial=-200.0)) > -40.0


def _without_silent_end(clip: Clip) -> Clip:
    wave = np.abs(clip.samples).max(axis=0)
    audible = np.nonzero(wave > _GONE * float(wave.max(initial=0.0)))[0]
    return cut(clip, int(audible[-1]) + 1 + round(0.005 * clip.rate)) if len(audible) else clip


def _levels_db(clip: Clip, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Level of each ``seconds`` in dB under the loudest."""
    size = max(1, round(seconds * clip.rate))
    count = clip.frames // size
    blocks = clip.samples[:, : count * size].reshape(clip.channels, count, size)
    power = np.einsum("cbs,cbs->b", blocks, blocks).astype(np.float64) / (size * clip.channels)
    levels: np.ndarray[tuple[int], np.dtype[np.float64]] = 10.0 * np.log10(
        (power + 1e-20) / (power.max(initial=0.0) + 1e-20)
    )
    return levels

"""What is wanted, and its identity."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

from prompts._chords import chord_identity
from prompts._fields import (
    MAX_SECONDS,
    AudioId,
    Bars,
    Beams,
    Bpm,
    Chords,
    Duration,
    Effects,
    EngineName,
    Guidance,
    Key,
    KindName,
    Meter,
    ModelName,
    Octaves,
    Prompt,
    QualityMode,
    RepetitionPenalty,
    Seed,
    SourceUse,
    Temperature,
    TopK,
    TopP,
)
from prompts._kind import Kind
from prompts._meter import COMMON_TIME, bar_beats, meter_in
from prompts._reading import bars_in, bpm_in, key_in, kind_in, says_music, seconds_in

NATURAL_SECONDS: Final = 8.0
"""Seconds of a texture, a stem or raw audio when no length is given."""
DEFAULT_BPM: Final = 120.0
"""Tempo of a loop when none is given."""
DEFAULT_BARS: Final = 2
"""Bars of a loop when no length is given."""
MUSIC_BARS: Final = 4
"""The same where the words ask for music ("a song", "smooth jazz") and nobody named a kind."""

_MOST_CHORD_BARS = 16
_SEED_STEP: Final = 0x9E3779B1  # the prime next to 2**32 over the golden ratio: seeds of takes lie far apart
_ENDLESS = frozenset({Kind.TEXTURE, Kind.STEM, Kind.RAW})  # nothing in these sounds says when to stop
_ON_THE_GRID = frozenset({Kind.LOOP, Kind.STEM})


class SampleSpec(BaseModel):
    """What is wanted. Frozen; unknown fields are ignored, ``None`` means absent.

    Raises pydantic's ValidationError, a ValueError, for a value of the wrong type or outside its range.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    prompt: Prompt
    """What is to be heard, in words: 1 to 500 characters."""
    kind: KindName | None = None
    """oneshot, loop, texture, pitched, stem or raw; without it the words decide."""
    duration: Duration | None = None
    """Seconds, 0.1 to 120; without it the kind's natural length."""
    bars: Bars | None = None
    """Bars, 1 to 64; goes before ``duration``."""
    meter: Meter | None = None
    """Time signature such as ``3/4`` or ``7/8``; without it 4/4."""
    bpm: Bpm | None = None
    """Quarter notes per minute, 20 to 400, whatever the meter."""
    key: Key | None = None
    """Key such as ``C minor``, ``fm`` or ``F#``; kept as ``cm``, ``fm``, ``f#``."""
    chords: Chords = ()
    """Chord progression, one name a bar, repeated: ``Am``, ``F#m7``, ``N.C.``; at most 32."""
    effects: Effects = ()
    """Audio processors added to the chain of finishing, in this order; at most 8."""
    seed: Seed | None = None
    """0 to 4294967295; without it the seed comes from everything else."""
    engine: EngineName = "auto"
    """Name of the engine, or ``auto``."""
    model: ModelName | None = None
    """The engine's model; without it the engine's own choice."""
    temperature: Temperature = 1.0
    """0 to 2; 0 takes the likeliest code each time."""
    top_k: TopK = 250
    """0 to 500; 0 = off."""
    top_p: TopP = 0.0
    """0 to 1; 0 and 1 = off."""
    guidance: Guidance = 3.0
    """0 to 10: how strictly the words are followed."""
    octaves: Octaves = ()
    """Ten levels in dB under the loudest octave, 31 Hz to 16 kHz: the colour that the sound is pulled towards, as
    strongly as ``guidance`` says from 1 to 10, by engines that can."""
    num_beams: Beams = 1
    """1 to 8 candidates, of which the best one is kept."""
    repetition_penalty: RepetitionPenalty = 1.0
    """1 to 2."""
    quality_mode: QualityMode = "balanced"
    """draft, balanced or high: quicker or more exact, for engines that know a difference."""
    source: AudioId | None = None
    """Audio that the sound is made from, by engines that can: the id of an upload or of a kept sample."""
    source_as: SourceUse | None = None
    """melody, continuation or variation; without it what the engine does best."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data

    @field_validator("bpm")
    @classmethod
    def _short_enough(cls, bpm: float | None, info: ValidationInfo) -> float | None:
        bars, meter = info.data.get("bars"), info.data.get("meter")
        if bpm is not None and bars is not None and (seconds := _seconds(bars, bpm, meter)) > MAX_SECONDS:
            raise ValueError(
                f"{bars} bars at {bpm:g} bpm last {seconds:.0f} seconds; "
                f"at most {MAX_SECONDS:g} are made, so ask for fewer bars or a higher bpm"
            )
        return bpm

    @property
    def seconds(self) -> float | None:
        """Length in seconds; None lets the sound ring as long as it does by nature."""
        if self.bars is not None:
            return _seconds(self.bars, self.bpm or DEFAULT_BPM, self.meter)
        if self.duration is None and self.kind in _ENDLESS:
            return NATURAL_SECONDS
        return self.duration

    @property
    def bar_beats(self) -> float:
        """Quarter notes in a bar."""
        return bar_beats(self.meter)

    @property
    def beats(self) -> float | None:
        """Length in quarter notes: of whatever has bars, and of loops and stems whose tempo is known."""
        if self.bars is not None:
            return self.bars * self.bar_beats
        if self.kind not in _ON_THE_GRID or self.seconds is None or self.bpm is None:
            return None
        return self.seconds * self.bpm / 60

    def complete(self) -> SampleSpec:
        """Return the spec with what its words say and its kind implies; a field that is set always wins.

        Kind, length, bpm, meter and key are read from the words. What has bars, chords or a meter is a loop. A loop
        without duration and bars gets the bars of its words, or one a chord, or 2 (music: 4), and one without bpm 120.
        A duration that no single sound has makes a stem. A stem whose tempo is known, and not its length, has whole
        bars: 1, 2, 4, 8 or 16, whichever is nearest to ``NATURAL_SECONDS``.
        Completing twice changes nothing.

        Raises ValidationError when the bars last longer than ``MAX_SECONDS`` at that bpm.
        """
        timed = self.bars is not None or self.meter is not None or len(self.chords) > 1
        said = seconds_in(self.prompt) if self.bars is None and bars_in(self.prompt) is None else None
        duration = self.duration if self.duration is not None else said
        kind = self.kind or (Kind.LOOP if timed else kind_in(self.prompt, duration))
        bpm = self.bpm if self.bpm is not None else bpm_in(self.prompt)
        meter = self.meter or meter_in(self.prompt)
        bars = self.bars
        if bars is None and duration is None and kind is Kind.LOOP:
            bars = bars_in(self.prompt) or self._chord_bars(bpm or DEFAULT_BPM, meter) or self._natural_bars()
        if bars is None and duration is None and kind is Kind.STEM and bpm is not None:
            bars = _whole_bars(bpm, meter)
        if bars is None and duration is None and kind in _ENDLESS:
            duration = NATURAL_SECONDS
        if bpm is None and (bars is not None or kind is Kind.LOOP):
            bpm = DEFAULT_BPM
        key = self.key if self.key is not None else key_in(self.prompt)
        return _changed(self, kind=kind, bpm=bpm, meter=meter, bars=bars, duration=duration, key=key)

    def _natural_bars(self) -> int:
        return MUSIC_BARS if self.kind is None and says_music(self.prompt) else DEFAULT_BARS

    def _chord_bars(self, bpm: float, meter: str | None) -> int:
        """One bar a chord, as far as that can be made; 0 without a progression."""
        fitting = int(MAX_SECONDS / _seconds(1, bpm, meter))
        return min(len(self.chords), _MOST_CHORD_BARS, fitting) if len(self.chords) > 1 else 0

    def resolved(self, engine: str, model: str | None = None) -> SampleSpec:
        """Return the complete spec as ``engine`` with ``model`` will make it.

        A missing seed comes from the digest of everything else: the same words give the same sound.

        Raises ValueError (ValidationError) when ``engine`` or ``model`` is not a name.
        """
        spec = _changed(self.complete(), engine=engine, model=model)
        if spec.seed is not None:
            return spec
        # Another quality is the same music made with other care.
        words = spec.model_copy(update={"quality_mode": "balanced"}).canonical()
        return _changed(spec, seed=int(hashlib.sha256(words.encode()).hexdigest()[:8], 16))

    def canonical(self) -> str:
        """Return the spec as JSON that is the same for specs that mean the same.

        Sorted keys, 8.0 as 8, the prompt without regard to letter case, width and spacing.
        """
        values = {name: _normal(value) for name, value in self}
        values["prompt"] = " ".join(unicodedata.normalize("NFKC", self.prompt).casefold().split())
        if self.bars is not None:
            values["duration"] = None  # bars go before it
        if self.top_p == 1:
            values["top_p"] = 0  # both switch it off
        # Younger than the first kept sounds: where they say nothing they are not there, so that those are found.
        for name in ("meter", "chords", "effects", "octaves", "quality_mode", "source", "source_as"):
            if not values[name] or values[name] in {COMMON_TIME, "balanced"}:
                del values[name]
        if self.chords:
            values["chords"] = [chord_identity(chord) for chord in self.chords]
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def seed_of_take(self, number: int) -> int:
        """Return the seed of take ``number`` of this spec; that of take 0 is its own."""
        return ((self.seed or 0) + number * _SEED_STEP) % 2**32

    def spec_id(self, recipe: str) -> str:
        """Return the sound's identity: 32 hexadecimal digits of SHA-256.

        ``recipe``: what else decides how it sounds, such as the engine's revision and the version of finishing.

        Raises ValueError when the spec is not resolved.
        """
        if self.seed is None or self.engine == "auto" or self.kind is None:
            raise ValueError("only a resolved spec has an identity; call resolved(engine, model) first")
        return hashlib.sha256(f"{self.canonical()}\n{recipe}".encode()).hexdigest()[:32]


def _seconds(bars: int, bpm: float, meter: str | None) -> float:
    return bars * bar_beats(meter) * 60 / bpm


def _whole_bars(bpm: float, meter: str | None) -> int:
    """The power of two of bars, at most 16, that is nearest to the natural length, as a ratio."""
    asked = NATURAL_SECONDS / _seconds(1, bpm, meter)
    return min((1, 2, 4, 8, 16), key=lambda bars: max(bars / asked, asked / bars))


def _changed(spec: SampleSpec, **values: Any) -> SampleSpec:
    """Return a validated copy of ``spec`` with other values."""
    return SampleSpec.model_validate({**dict(spec), **values})


def _normal(value: Any) -> Any:
    """Return a number as the shortest JSON that says it (8.0 -> 8, six decimals), anything else as it is."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else round(value, 6)

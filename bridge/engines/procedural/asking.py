"""What a spec asks to be played: which instrument, at which pitch, and the score of a loop or a stem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompts import LONGEST_HIT, LONGEST_SINGLE

from .instrument import Instrument
from .instruments import TABLE
from .parts import family_of, plan, score
from .plan import NoteEvent
from .theory import hertz, near, tonality
from .words import Reading, read

if TYPE_CHECKING:
    from prompts import SampleSpec

_ANYTHING = (
    "pluck",
    "bell_fm",
    "kalimba",
    "electric_piano",
    "marimba",
    "stab",
    "lead_square",
    "glitch",
    "laser",
    "koto",
)
"""What sounds when no word is known: the seed chooses."""
_LASTING = frozenset({"riser", "downlifter", "siren"})
"""Single sounds that last as long as one wants."""
_PAUSE = 0.75
"""Seconds of rest, at most, between two sounds of an effect that plays alone."""


def guess(spec: SampleSpec, reading: Reading, seconds: float | None) -> str:
    """What a raw request means: a part when it asks for one or is long, a bed for what stays, else one sound."""
    if reading.beat or reading.line or spec.bars or not reading.instruments:
        return "stem"
    if reading.instruments[0].bed:
        return "texture"
    entry = reading.instruments[0]
    longest = LONGEST_HIT if entry.role == "drum" else LONGEST_SINGLE
    lasting = entry.name in _LASTING or " note " in reading.text
    return "stem" if seconds and seconds > longest and not lasting else "oneshot"


def main_instrument(reading: Reading, seed: int) -> Instrument:
    """The instrument of a single sound: the first that is named, else one of the style, else what the seed chooses."""
    if reading.instruments:
        return reading.instruments[0]
    if reading.beat:
        return TABLE["kick"]
    if reading.line or reading.genre:
        named = [name for _, name in reading.genre.parts] if reading.genre else []
        return TABLE[named[seed % len(named)] if named else "pluck"]
    return TABLE[_ANYTHING[seed % len(_ANYTHING)]]


def root_of(entry: Instrument, reading: Reading, key: str | None) -> float:
    """MIDI number that an instrument plays: the note that is named, else for a key near its own C, an octave off for
    "deep" or "high".
    """
    if not entry.root:
        return 45.0
    if reading.note is not None:
        return reading.note
    octave = 0.0
    if reading.knobs.pitch <= -3 and entry.root >= 48:
        octave = -12.0
    elif reading.knobs.pitch >= 4 and entry.root <= 72:
        octave = 12.0
    centre = entry.root + octave
    tonic = tonality(key, "minor").tonic
    lowest = 24 if entry.role == "bass" else centre - 5
    note = near(tonic, centre)
    return note if note >= lowest else note + 12


def note_played(spec: SampleSpec) -> int | None:
    """MIDI number that a single sound of ``spec`` plays, for a chord its root; None for what has no note."""
    reading = read(spec.prompt)
    entry = main_instrument(reading, spec.seed or 0)
    return round(root_of(entry, reading, spec.key)) if entry.root else None


def _family(spec: SampleSpec, reading: Reading, bpm: float) -> int | None:
    """What starts the harmony: None for a seed that was asked for, since all stems with it agree. A seed that only
    stands for the words differs with each instrument; then style, tempo, key and chords start it.
    """
    derived = spec.model_copy(update={"seed": None}).resolved(spec.engine, spec.model).seed == spec.seed
    return family_of(reading, bpm, spec.key, spec.chords, spec.meter) if derived else None


def scored(spec: SampleSpec, reading: Reading, seed: int, bpm: float, seconds: float) -> list[NoteEvent]:
    """The score of a loop or a stem of ``seconds``, sorted by time; never empty."""
    shared = plan(
        reading,
        spec.prompt,
        spec.key,
        bpm,
        seconds,
        seed,
        chords=spec.chords,
        meter=spec.meter,
        family=_family(spec, reading, bpm),
    )
    events = score(shared, reading, kind_words=reading.genre is not None or not reading.instruments)
    if not events:  # only an effect is named: once a bar, or more often where it is short
        entry = main_instrument(reading, seed)
        pitch = hertz(root_of(entry, reading, spec.key))
        every = shared.step * shared.bar
        while every - entry.seconds > _PAUSE and every > _PAUSE:
            every /= 2
        events = [
            NoteEvent(i * every, entry, pitch, min(entry.seconds, every), 0.8, 0.8)
            for i in range(max(1, int(seconds / every)))
        ]
    return events

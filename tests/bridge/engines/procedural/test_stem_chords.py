"""Chords of a stem's request decide what its players play, not who plays."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.engines.procedural.asking import scored
from bridge.engines.procedural.words import read
from bridge.sounds.orders import stem_order


def players(**body: Any) -> set[str]:
    order, _ = stem_order({"bpm": 120, "key": "C major", "duration": 8, "seed": 1, **body})
    spec = order.spec.resolved("procedural", None)
    assert spec.bpm is not None
    assert spec.seconds is not None
    events = scored(spec, read(spec.prompt), spec.seed or 0, spec.bpm, spec.seconds)
    return {"drums" if event.instrument.role == "drum" else event.instrument.name for event in events}


@pytest.mark.parametrize(
    "stem", ["drums", "bass", "melody", "voice", "guitar", "piano", "synth", "fx", "other", "choir", "flute"]
)
def test_who_plays_a_stem_is_the_same_with_chords_and_without(stem: str) -> None:
    assert players(type=stem, chords=["C", "G", "Am", "F"]) == players(type=stem)

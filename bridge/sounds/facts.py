"""The facts of a new sample, and what makes two samples the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bridge import __version__
from bridge.audio import RECIPE
from bridge.audio.facts import SampleFacts
from bridge.engines.hosting.client import Made
from bridge.plugins.engine import EngineInfo
from prompts import SampleSpec, terms

DEFAULT_RATE = 44100
"""Hz of finished samples unless something else is set."""

_TAG_WEIGHT = 1.5
"""A word of a sound's name counts more than one of its prompt."""


def recipe_of(info: EngineInfo, rate: int = DEFAULT_RATE) -> str:
    """What decides how a spec sounds, besides the spec: the engine's revision, finishing's version and rate."""
    return f"{info.name}/{info.revision}/{RECIPE}" + (f"/{rate}" if rate != DEFAULT_RATE else "")


def facts_of(spec: SampleSpec, info: EngineInfo, made: Made, rate: int = DEFAULT_RATE) -> SampleFacts:
    """Everything that is known of a new sample; it stays with it in the catalogue."""
    return SampleFacts(
        prompt=spec.prompt,
        kind=str(spec.kind),
        seconds=made.frames / made.rate,
        bpm=spec.bpm,
        bars=spec.bars,
        beats=spec.beats,
        key=spec.key,
        meter=spec.meter,
        chords=list(spec.chords),
        seed=spec.seed,
        engine=info.name,
        revision=info.revision,
        model=info.model,
        licence=info.licence,
        commercial=info.commercial,
        digital_source_type="trainedAlgorithmicMedia" if info.generative_model else "algorithmicMedia",
        recipe=recipe_of(info, rate),
        version=__version__,
        parents=[spec.source] if spec.source else [],
        flags=list(made.flags),
        score=made.score,
        measures=dict(made.measures),
        decisions=list(made.decisions),
        spec=spec.model_dump(mode="json"),
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    ).but(**made.facts)


def search_terms(prompt: str, name: str, aliases: Sequence[str]) -> Mapping[str, float]:
    """Words under which a sound is found, with their weights: its prompt's, and above them its names'."""
    words = dict(terms(prompt))
    for each in (name, *aliases):
        for word in each.removeprefix("gen_").removeprefix("musicgen_").split("_"):
            if word:
                words[word] = max(words.get(word, 0.0), _TAG_WEIGHT)
    return words

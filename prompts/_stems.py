"""The sounds that are always there, example prompts, and the types of stems."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from prompts._data import table
from prompts._kind import Kind
from prompts._names import sound_name
from prompts._phrases import joined
from prompts._search import nearest
from prompts._spec import SampleSpec


class UnknownStemType(ValueError):
    """No stem type and no common stem has this name; ``nearest`` holds up to three that are close."""

    def __init__(self, text: str, nearest: list[str]) -> None:
        types = sorted(entry["name"] for entry in table("stems")["type"])
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"take one of {', '.join(types)}."
        super().__init__(f"'{text[:80]}' is not a type of stem; {hint}")
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Stem:
    """A sound that every library has from the first minute."""

    name: str
    """Slug such as ``kick_808``."""
    spec: SampleSpec
    """What makes it."""
    tags: tuple[str, ...]
    """Words to find it by, besides those of its prompt."""
    aliases: tuple[str, ...]
    """Short names that patterns use for it (``bd``)."""
    roots: tuple[SampleSpec, ...] = ()
    """The same sound at further root notes: an instrument that is played over octaves sounds better so."""

    @property
    def sound(self) -> str:
        """Name of the sound: ``gen_<name>``."""
        return sound_name(self.name)


@dataclass(frozen=True, slots=True)
class StemType:
    """What ``type`` and ``target_stems`` of the contracts may say."""

    name: str
    """The type's own name; "vocals" is ``voice``, "ambient" is ``fx``."""
    words: str
    """How a prompt says it."""
    kind: Kind = Kind.STEM
    """What is made by default."""


@cache
def common_stems() -> tuple[Stem, ...]:
    """Return the common stems, the most needed first."""
    return tuple(
        Stem(
            name=entry["name"],
            spec=SampleSpec.model_validate(entry),
            tags=tuple(entry["tags"]),
            aliases=tuple(entry.get("aliases", ())),
            roots=tuple(
                SampleSpec.model_validate(entry | {"prompt": f"{entry['prompt']}, {root}"})
                for root in entry.get("roots", ())
            ),
        )
        for entry in table("stems")["stem"]
    )


@cache
def example_prompts() -> tuple[SampleSpec, ...]:
    """Return prompts that show what can be asked for."""
    return tuple(SampleSpec.model_validate(entry) for entry in table("examples")["example"])


def resolve_stem_type(text: str) -> StemType:
    """Return the type that ``text`` names in any letter case: drums, bass, voice ... or any common stem.

    Raises UnknownStemType with the nearest names.
    """
    types = _stem_types()
    found = types.get(joined(text))
    if found is None:
        names = [*(entry["name"] for entry in table("stems")["type"]), *(stem.name for stem in common_stems())]
        raise UnknownStemType(text, nearest(text, names))
    return found


@cache
def _stem_types() -> dict[str, StemType]:
    """Return the types by every name they have, joined; the contracts' own names go before common stems."""
    types = {joined(stem.name): StemType(stem.name, stem.spec.prompt) for stem in common_stems()}
    for entry in table("stems")["type"]:
        named = StemType(entry["name"], entry["words"])
        types |= {joined(name): named for name in (entry["name"], *entry.get("also", ()))}
    return types

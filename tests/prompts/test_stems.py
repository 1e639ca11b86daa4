"""The common stems, the example prompts, and the types of stems."""

from __future__ import annotations

import pytest

from prompts import (
    Kind,
    SampleSpec,
    UnknownStemType,
    common_stems,
    example_prompts,
    resolve_stem_type,
    slug,
    terms,
)

STRUDEL_NAMES = {"bd", "sd", "rim", "hh", "oh", "cp", "lt", "mt", "ht", "cr", "rd", "cb", "sh"}
FAMILIES = {
    "kick",
    "snare",
    "clap",
    "hat",
    "tom",
    "percussion",
    "bass",
    "arp",
    "keys",
    "pad",
    "choir",
    "vocal",
    "guitar",
    "brass",
    "drone",
    "riser",
    "impact",
    "808",
    "closed",
    "open",
    "rim",
    "crash",
    "ride",
    "shaker",
    "conga",
    "cowbell",
    "sub",
    "acid",
    "reese",
    "piano",
    "break",
}


def test_there_are_at_least_28_common_stems_of_every_family() -> None:
    tags = {tag for stem in common_stems() for tag in stem.tags}
    assert len(common_stems()) >= 28
    assert tags >= FAMILIES


def test_names_are_slugs_and_unique() -> None:
    names = [stem.name for stem in common_stems()]
    assert names == [slug(name) for name in names]
    assert len(set(names)) == len(names)
    assert common_stems()[0].sound == "gen_kick"


def test_the_names_that_every_pattern_uses_are_aliases_each_once() -> None:
    aliases = [alias for stem in common_stems() for alias in stem.aliases]
    assert sorted(aliases) == sorted(STRUDEL_NAMES)
    assert not set(aliases) & {stem.sound for stem in common_stems()}


def test_the_words_of_every_stem_say_its_kind_themselves() -> None:
    for stem in common_stems():
        assert SampleSpec(prompt=stem.spec.prompt).complete().kind is stem.spec.kind, stem.name


def test_every_stem_is_a_sound_of_its_own_and_complete_but_for_engine_and_seed() -> None:
    assert len({stem.spec.resolved("tone").spec_id("1") for stem in common_stems()}) == len(common_stems())
    for stem in common_stems():
        assert stem.spec.complete() == stem.spec, stem.name


def ranked(query: str) -> list[str]:
    """Names of the stems that have the query's words in their tags or prompts, the weightiest first."""
    wanted = terms(query)
    scores = {
        stem.name: sum(wanted.get(word, 0) for word in {*stem.tags, *terms(stem.spec.prompt, wanted)} & set(wanted))
        for stem in common_stems()
    }
    return sorted(scores, key=lambda name: -scores[name])


def test_every_stem_is_found_first_by_its_own_prompt() -> None:
    for stem in common_stems():
        assert ranked(stem.spec.prompt)[0] == stem.name


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("kik", "kick"),
        ("eight oh eight kick", "kick_808"),
        ("snair", "snare"),
        ("open hihat", "open_hat"),
        ("tb-303", "acid_bass"),
        ("low end", "sub_bass"),
        ("horns", "brass"),
        ("angel voices", "choir"),
        ("uplifter", "riser"),
        ("rhodes", "electric_piano"),
        ("bongos", "conga"),
        ("arpegiated", "arp"),
        ("gitar", "guitar"),
        ("rainy night", "rain"),
        ("explosion", "impact"),
        ("lush synth pads", "warm_pad"),
    ],
)
def test_a_sloppy_query_finds_its_stem_among_the_first_three(query: str, name: str) -> None:
    assert name in ranked(query)[:3]


def test_there_are_about_a_dozen_example_prompts() -> None:
    assert len(example_prompts()) >= 12
    assert {spec.complete().kind for spec in example_prompts()} >= set(Kind) - {Kind.RAW}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("drums", "drums"),
        ("DRUMS", "drums"),
        ("bass", "bass"),
        ("melody", "melody"),
        ("voice", "voice"),
        ("Vocals", "voice"),
        ("guitar", "guitar"),
        ("piano", "piano"),
        ("synth", "synth"),
        ("fx", "fx"),
        ("ambient", "fx"),
        ("Other", "other"),
        ("warm_pad", "warm_pad"),
        ("Warm Pad", "warm_pad"),
        ("kick", "kick"),
    ],
)
def test_a_type_is_known_in_any_letter_case(text: str, name: str) -> None:
    found = resolve_stem_type(text)
    assert (found.name, found.kind) == (name, Kind.STEM)
    assert found.words


def test_every_common_stem_is_a_type() -> None:
    for stem in common_stems():
        assert resolve_stem_type(stem.name).words


@pytest.mark.parametrize(
    ("text", "near"), [("drmus", "drums"), ("vocls", "vocal"), ("gitar", "guitar"), ("warmpat", "warm_pad")]
)
def test_an_unknown_type_is_an_error_with_the_nearest_names(text: str, near: str) -> None:
    with pytest.raises(UnknownStemType, match="did you mean") as caught:
        resolve_stem_type(text)
    assert near in caught.value.nearest
    assert len(caught.value.nearest) <= 3


@pytest.mark.parametrize("text", ["", "  ", "🔥", "qqqqq"])
def test_what_is_near_nothing_gets_the_list_of_types(text: str) -> None:
    with pytest.raises(UnknownStemType, match="take one of bass, drums") as caught:
        resolve_stem_type(text)
    assert caught.value.nearest == []

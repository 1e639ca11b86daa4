import pytest

from cache import Target


@pytest.fixture
def filled(store, make):
    facts = [
        {"kind": "loop", "bpm": 92, "engine": "procedural", "licence": "CC0-1.0", "commercial": True},
        {"kind": "oneshot", "engine": "musicgen", "licence": "CC-BY-NC-4.0", "commercial": False, "key": "fm"},
        {"kind": "loop", "bpm": 120.3, "engine": "musicgen", "licence": "CC-BY-NC-4.0", "commercial": False},
    ]
    for number, each in enumerate(facts):
        session = "s1" if number else None
        store.publish(make(store, str(number), **each), [Target(f"gen_{number}", session=session)])
    return store


def names(sounds):
    return [sound.name for sound in sounds]


def test_the_last_changed_sound_comes_first(filled, make):
    assert names(filled.sounds()) == ["gen_2", "gen_1", "gen_0"]
    filled.publish(make(filled, "more"), [Target("gen_0")])
    assert names(filled.sounds()) == ["gen_0", "gen_2", "gen_1"]
    assert names(filled.sounds(order="name")) == ["gen_0", "gen_1", "gen_2"]
    assert filled.count() == 3


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"kind": "loop"}, ["gen_2", "gen_0"]),
        ({"engine": "musicgen"}, ["gen_2", "gen_1"]),
        ({"licence": "CC0-1.0"}, ["gen_0"]),
        ({"commercial": True}, ["gen_0"]),
        ({"commercial": False}, ["gen_2", "gen_1"]),
        ({"bpm": 120}, ["gen_2"]),
        ({"key": "fm"}, ["gen_1"]),
        ({"session": "s1"}, ["gen_2", "gen_1"]),
        ({"session": "s1", "kind": "loop", "bpm": None}, ["gen_2"]),
        ({"kind": "texture"}, []),
    ],
)
def test_sounds_are_listed_by_their_facts(filled, wanted, found):
    assert names(filled.sounds(**wanted)) == found


def test_a_filter_that_nobody_knows_is_an_error_of_the_program(filled):
    with pytest.raises(TypeError, match="colour"):
        filled.sounds(colour="red")


def test_one_slot_that_is_not_for_sale_taints_the_sound(filled, make):
    filled.publish(make(filled, "free", commercial=True), [Target("gen_1")])
    assert names(filled.sounds(commercial=True)) == ["gen_0"]


def test_a_list_goes_on_where_it_ended(filled, make):
    first = filled.sounds(limit=2)
    filled.publish(make(filled, "new"), [Target("gen_new")])
    assert names(filled.sounds(limit=2, after=first[-1].seq)) == ["gen_0"]
    assert names(filled.sounds(limit=2, order="name", after="gen_0")) == ["gen_1", "gen_2"]


def test_a_sound_is_found_by_name_and_by_alias(filled, make):
    filled.publish(make(filled, "a"), [Target("gen_a", aliases=("musicgen_a", "bd"))])
    assert filled.sound("bd") == filled.sound("musicgen_a") == filled.sound("gen_a")
    assert filled.sound("gen_a").aliases == ("musicgen_a", "bd")
    assert filled.sound("nothing") is None

import math

import pytest

from cache import NotStorable, Target


@pytest.fixture
def shelf(store, make):
    def put(name, *, terms, **facts):
        store.publish(make(store, name, **facts), [Target(name, terms=terms)])

    put("gen_kick", terms={"drum": 3.0})
    put("gen_deep", terms={"kick": 3.0, "dark": 3.0}, kind="oneshot")
    put("gen_loud", terms={"kick": 1.0, "loud": 1.0}, kind="loop")
    put("gen_bad", terms={"kick": 3.0, "dark": 3.0}, flags=["clipped"])
    return store


def names(found):
    return [sound.name for sound, _ in found]


def test_the_name_comes_before_tags_and_tags_before_words(shelf):
    assert names(shelf.search({"kick": 1.0})) == ["gen_kick", "gen_deep", "gen_loud", "gen_bad"]


def test_flagged_sounds_come_last(shelf):
    assert names(shelf.search({"dark": 1.0})) == ["gen_deep", "gen_bad"]


def test_a_flagged_sound_that_is_named_comes_first_all_the_same(shelf, make):
    shelf.publish(make(shelf, "flagged", flags=["clipped"]), [Target("gen_loud")])
    shelf.publish(make(shelf, "other"), [Target("gen_other", terms={"loud": 9.0})])
    assert names(shelf.search({"loud": 1.0})) == ["gen_loud", "gen_other"]


def test_a_synonym_names_nothing(shelf):
    assert names(shelf.search({"loud": 1.0, "kick": 0.3})) == ["gen_loud", "gen_deep", "gen_bad"]


def test_words_that_make_up_a_name_name_it(shelf, make):
    shelf.publish(make(shelf, "long"), [Target("gen_very_dark_kick", terms={"kick": 1.0})])
    assert names(shelf.search({"very": 1.0, "dark": 1.0, "kick": 1.0}))[0] == "gen_very_dark_kick"


def test_more_words_in_common_rank_higher_and_ties_go_by_name(shelf, make):
    shelf.publish(make(shelf, "twin"), [Target("gen_aaa", terms={"kick": 3.0, "dark": 3.0})])
    assert names(shelf.search({"dark": 1.0, "loud": 0.5})) == ["gen_aaa", "gen_deep", "gen_loud", "gen_bad"]


def test_a_search_can_be_narrowed(shelf):
    assert names(shelf.search({"kick": 1.0}, kind="loop")) == ["gen_loud"]
    assert names(shelf.search({"kick": 1.0}, limit=1)) == ["gen_kick"]


def test_scores_are_sums_of_products(shelf):
    assert [score for _, score in shelf.search({"loud": 0.5, "dark": 1.0}, kind="oneshot")] == [3.0]


@pytest.mark.parametrize("terms", [{}, {"zither": 1.0}, {"": 1.0}, {"'; DROP TABLE sounds; --": 1.0}, {"%": 1.0}])
def test_what_nobody_has_is_found_nowhere(shelf, terms):
    assert shelf.search(terms) == []


def test_weights_are_numbers(shelf):
    with pytest.raises(NotStorable):
        shelf.search({"kick": math.nan})


def test_terms_of_a_sound_add_up_over_its_slots(shelf, make):
    shelf.publish(make(shelf, "second"), [Target("gen_loud", terms={"kick": 9.0, "soft": 1.0})])
    assert names(shelf.search({"soft": 1.0})) == ["gen_loud"]
    assert {sound.name: score for sound, score in shelf.search({"kick": 1.0})}["gen_loud"] == 9.0


def test_words_are_all_that_can_be_found(shelf, make):
    assert {"kick", "dark", "gen_deep"} <= shelf.words()
    shelf.publish(make(shelf, "new"), [Target("gen_new", terms={"zither": 1.0}, aliases=("zz",))])
    assert {"zither", "zz"} <= shelf.words()
    shelf.delete("gen_new")
    assert not {"zither", "zz", "gen_new"} & shelf.words()
    assert shelf.search({"zither": 1.0, "gen_new": 1.0}) == []

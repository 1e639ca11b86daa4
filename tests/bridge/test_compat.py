"""The old programs' variables, by a table."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.compat import ALIASES, WITHOUT_EFFECT, apply
from bridge.settings import FIELDS


@pytest.mark.parametrize(
    ("environ", "values"),
    [
        ({}, {}),
        # contract A
        ({"MUSICGEN_MODEL": "facebook/musicgen-large"}, {"model": "facebook/musicgen-large"}),
        ({"MUSICGEN_MODEL": "./musicgen_finetuned"}, {"model": "./musicgen_finetuned"}),
        ({"MUSICGEN_PORT": "6000"}, {"port": "6000"}),
        ({"HUGGINGFACE_API_KEY": "hf_x"}, {"hf_token": "hf_x"}),
        ({"HF_TOKEN": "hf_y"}, {"hf_token": "hf_y"}),
        ({"REPLICATE_API_TOKEN": "r8"}, {"replicate_token": "r8"}),
        # contract C
        ({"MUSICGEN_MODEL_SIZE": "medium"}, {"model": "medium"}),
        ({"MUSICGEN_DEVICE": "cuda"}, {"device": "cuda"}),
        ({"MAX_CONCURRENT_JOBS": "7"}, {"max_concurrent_jobs": "7"}),
        # contract D
        ({"USE_GPU": "true"}, {"device": "cuda"}),
        ({"USE_GPU": "False"}, {"device": "cpu"}),
        ({"USE_GPU": "1"}, {"device": "cuda"}),
        ({"USE_GPU": "maybe"}, {"device": "maybe"}),  # the setting refuses it
        ({"MOCK_GENERATION": "true"}, {"mock_generation": True}),
        ({"MOCK_GENERATION": "0"}, {"mock_generation": False}),
        ({"WORKERS": "3"}, {"workers": "3"}),
        # contract E
        ({"DEVICE": "cpu"}, {"device": "cpu"}),
        ({"GENERATION_MODEL": "facebook/musicgen-melody"}, {"model": "facebook/musicgen-melody"}),
        ({"MAX_FILE_SIZE": "104857600"}, {"max_upload_bytes": "104857600"}),
        # C's 120 and E's 300 keep both their meanings
        ({"MAX_DURATION": "120"}, {"max_duration": 120.0, "max_upload_duration": 300.0}),
        ({"MAX_DURATION": "300"}, {"max_duration": 120.0, "max_upload_duration": 300.0}),
        ({"MAX_DURATION": "30"}, {"max_duration": 30.0, "max_upload_duration": 300.0}),
        ({"MAX_DURATION": "600"}, {"max_duration": 120.0, "max_upload_duration": 600.0}),
        ({"MAX_DURATION": "nan"}, {"max_duration": "nan", "max_upload_duration": "nan"}),
        ({"MAX_DURATION": "-1"}, {"max_duration": "-1", "max_upload_duration": "-1"}),
        (
            {"MAX_DURATION": "60", "BRIDGE_MAX_DURATION": "90"},
            {"max_duration": "90", "max_upload_duration": 300.0},
        ),
        (
            {"MAX_DURATION": "60", "BRIDGE_MAX_UPLOAD_DURATION": "400"},
            {"max_duration": 60.0, "max_upload_duration": "400"},
        ),
        # the first found wins
        ({"BRIDGE_MODEL": "a", "MUSICGEN_MODEL": "a", "GENERATION_MODEL": "a"}, {"model": "a"}),
        ({"BRIDGE_DEVICE": "cpu", "DEVICE": "cpu"}, {"device": "cpu"}),
        # empty is not set, and other people's variables are none of ours
        ({"MUSICGEN_MODEL": "", "GENERATION_MODEL": "b"}, {"model": "b"}),
        ({"PORT": "1", "MODEL": "x", "musicgen_model": "x"}, {}),
    ],
)
def test_an_old_variable_means_our_setting(environ: dict[str, str], values: dict[str, Any]) -> None:
    compat = apply(environ)
    assert compat.values == values
    assert compat.notes == []


@pytest.mark.parametrize(
    ("environ", "field", "winner", "loser"),
    [
        ({"BRIDGE_MODEL": "a", "MUSICGEN_MODEL": "b"}, "model", "BRIDGE_MODEL", "MUSICGEN_MODEL"),
        ({"MUSICGEN_MODEL": "a", "GENERATION_MODEL": "b"}, "model", "MUSICGEN_MODEL", "GENERATION_MODEL"),
        ({"GENERATION_MODEL": "a", "MUSICGEN_MODEL_SIZE": "large"}, "model", "GENERATION_MODEL", "MUSICGEN_MODEL_SIZE"),
        ({"BRIDGE_DEVICE": "cpu", "MUSICGEN_DEVICE": "cuda"}, "device", "BRIDGE_DEVICE", "MUSICGEN_DEVICE"),
        ({"MUSICGEN_DEVICE": "cpu", "DEVICE": "cuda"}, "device", "MUSICGEN_DEVICE", "DEVICE"),
        ({"DEVICE": "cpu", "USE_GPU": "true"}, "device", "DEVICE", "USE_GPU"),
        ({"BRIDGE_PORT": "1", "MUSICGEN_PORT": "2"}, "port", "BRIDGE_PORT", "MUSICGEN_PORT"),
        ({"HUGGINGFACE_API_KEY": "one", "HF_TOKEN": "two"}, "hf_token", "HUGGINGFACE_API_KEY", "HF_TOKEN"),
    ],
)
def test_two_that_disagree_are_named_in_one_warning(
    environ: dict[str, str], field: str, winner: str, loser: str
) -> None:
    compat = apply(environ)
    assert (compat.values[field], compat.sources[field]) == (environ[winner], winner)
    assert len(compat.notes) == 1
    assert winner in compat.notes[0]
    assert loser in compat.notes[0]


def test_a_warning_never_shows_a_value() -> None:
    compat = apply({"BRIDGE_HF_TOKEN": "geheim-1", "HUGGINGFACE_API_KEY": "geheim-2", "HF_TOKEN": "geheim-3"})
    assert len(compat.notes) == 1
    assert "geheim" not in "".join(compat.notes)


@pytest.mark.parametrize(
    "environ",
    [
        {"MUSICGEN_MODEL": "facebook/musicgen-small", "MUSICGEN_MODEL_SIZE": "small"},
        {"MUSICGEN_MODEL": "musicgen-medium", "MUSICGEN_MODEL_SIZE": "base"},
        {"MUSICGEN_DEVICE": "CUDA", "USE_GPU": "yes"},
        {"DEVICE": "cpu", "USE_GPU": "no"},
        {"BRIDGE_MOCK_GENERATION": "true", "MOCK_GENERATION": "1"},
    ],
)
def test_two_ways_to_say_the_same_do_not_disagree(environ: dict[str, str]) -> None:
    assert apply(environ).notes == []


@pytest.mark.parametrize("variable", WITHOUT_EFFECT)
def test_a_variable_without_effect_is_noted(variable: str) -> None:
    compat = apply({variable: "redis://somewhere"})
    assert compat.values == {}
    assert len(compat.notes) == 1
    assert variable in compat.notes[0]


def test_the_environment_goes_before_the_file_and_our_name_before_the_old_one() -> None:
    def winner(*levels: dict[str, str]) -> tuple[Any, int, int]:
        compat = apply(*levels)
        return compat.values["device"], compat.levels["device"], len(compat.notes)

    assert winner({"USE_GPU": "false"}, {"BRIDGE_DEVICE": "cuda"}) == ("cpu", 0, 1)
    assert winner({}, {"BRIDGE_DEVICE": "cuda", "USE_GPU": "false"}) == ("cuda", 1, 1)
    assert winner({}, {"USE_GPU": "false"}) == ("cpu", 1, 0)
    # the same variable in both is no disagreement: the environment is there to override the file
    assert winner({"DEVICE": "cpu"}, {"DEVICE": "cuda"}) == ("cpu", 0, 0)


def test_every_row_of_the_table_names_a_setting() -> None:
    assert set(ALIASES) <= set(FIELDS)

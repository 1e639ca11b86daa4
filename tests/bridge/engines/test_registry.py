"""Which engines there are: ours and a stranger's, by the same door."""

import pytest

from bridge.engines import registry
from bridge.errors import EngineUnavailable
from bridge.plugins.engine import Engine

OURS = {"musicgen", "procedural", "tone"}


def test_ours_are_registered_as_anybodys():
    assert set(registry.names()) >= OURS
    assert registry.names() == sorted(registry.names())


def test_an_installed_package_brings_its_engines(installed):
    assert set(registry.names()) >= OURS | {"scripted", "quick"}
    engine = registry.build("quick", model=None, device="auto", data_dir=None)
    assert isinstance(engine, Engine)
    assert engine.info.name == "quick"


def test_an_unknown_name_is_unavailable_and_names_those_there_are():
    with pytest.raises(EngineUnavailable, match="procedural") as caught:
        registry.load("theremin")
    assert caught.value.code == "unknown_engine"


def test_one_that_cannot_be_imported_says_so_and_the_others_stay(installed):
    assert "missing" in registry.names()
    with pytest.raises(EngineUnavailable, match="no_such_module_anywhere") as caught:
        registry.load("missing")
    assert caught.value.code == "engine_unavailable"
    assert registry.build("quick").info.name == "quick"


def test_what_has_no_stream_is_no_engine(installed):
    with pytest.raises(EngineUnavailable, match="lacks"):
        registry.build("stranger")

"""Effects of somebody else's: the example of the documentation, and some that misbehave."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.audio import processors
from bridge.audio.analysis.loudness import decibels, true_peak
from bridge.audio.finishing.chains import finish
from bridge.audio.processors import AudioProcessor, check_names, names, process
from bridge.errors import EngineError, EngineUnavailable, InvalidRequest
from bridge.plugins.clip import Clip
from prompts import SampleSpec

EXAMPLE = Path(__file__).parents[3] / "examples" / "audio_processor"
BAD = """
import numpy as np

class Louder:
    def process(self, audio, sample_rate):
        audio *= 20
        return audio.astype(np.float64)

class Shorter:
    def process(self, audio, sample_rate):
        return audio[:, :-1]

class Nothing:
    def process(self, audio, sample_rate):
        return audio * np.nan

class Broken:
    def process(self, audio, sample_rate):
        raise ValueError("no such knob")

class Stranger:
    pass
"""


@pytest.fixture(autouse=True)
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the example and the bad ones, as pip would."""
    metadata = tmp_path / "bad_effects-1.0.dist-info"
    metadata.mkdir()
    (tmp_path / "bad_effects.py").write_text(BAD)
    shutil.copy(EXAMPLE / "warmth_effect.py", tmp_path)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-effects\nVersion: 1.0\n")
    classes = {name.lower(): f"bad_effects:{name}" for name in ("Louder", "Shorter", "Nothing", "Broken", "Stranger")}
    classes |= {"warmth": "warmth_effect:Warmth", "missing": "no_such_module_anywhere:Effect"}
    entries = "\n".join(f"{name} = {place}" for name, place in classes.items())
    (metadata / "entry_points.txt").write_text(f"[bridge.processors]\n{entries}\n")
    monkeypatch.syspath_prepend(tmp_path)
    for cached in (processors._entries, processors._build):
        cached.cache_clear()
    yield
    for cached in (processors._entries, processors._build):
        cached.cache_clear()
    for module in ("bad_effects", "warmth_effect"):
        sys.modules.pop(module, None)


def clip() -> Clip:
    return Clip.of(np.random.default_rng(1).standard_normal((2, 4410)) * 0.1, 44100)


def test_the_example_of_the_documentation_is_an_effect():
    assert "warmth" in names()
    assert isinstance(processors._build("warmth"), AudioProcessor)
    one = clip()
    warm = process("warmth", one)
    assert warm.samples.shape == one.samples.shape
    assert np.abs(warm.samples).mean() > 1.1 * np.abs(one.samples).mean()
    assert not process("warmth", Clip.of(np.zeros(100), 44100)).samples.any()


def test_what_an_effect_does_to_its_argument_stays_its_own_and_its_answer_becomes_float32():
    one = clip()
    before = one.samples.copy()
    assert process("louder", one).samples.dtype == np.float32
    np.testing.assert_array_equal(one.samples, before)


@pytest.mark.parametrize(
    ("name", "says"), [("shorter", "shape"), ("nothing", "NaN"), ("broken", "no such knob")], ids=lambda each: each
)
def test_an_effect_that_fails_is_named(name, says):
    with pytest.raises(EngineError, match=f"Effect '{name}'.*{says}") as caught:
        process(name, clip())
    assert caught.value.code == "effect_failed"


@pytest.mark.parametrize("name", ["stranger", "missing", "nobody"])
def test_an_effect_that_cannot_be_built_is_named(name):
    with pytest.raises(EngineUnavailable, match=f"'{name}'"):
        process(name, clip())


def test_an_unknown_name_is_refused_with_those_that_there_are():
    check_names(["warmth", "louder"])
    with pytest.raises(InvalidRequest, match="warmth") as caught:
        check_names(["warmth", "wramth"])
    assert caught.value.code == "unknown_effect"


def test_a_loud_effect_makes_no_loud_sample_and_is_told():
    done = finish(
        clip(), SampleSpec.model_validate({"prompt": "x", "kind": "oneshot", "effects": ["louder", "warmth"]})
    )
    assert decibels(true_peak(done.clip)) == pytest.approx(-1, abs=0.05)
    assert [each for each in done.decisions if "effect" in each] == [
        "sent through effect 'louder'",
        "sent through effect 'warmth'",
    ]


@pytest.mark.parametrize("kind", ["oneshot", "pitched", "loop", "texture", "stem", "raw"])
def test_every_kind_goes_through_its_effects_and_fails_with_them(kind):
    with pytest.raises(EngineError, match="'broken'"):
        finish(clip(), SampleSpec.model_validate({"prompt": "x", "kind": kind, "duration": 0.1, "effects": ["broken"]}))

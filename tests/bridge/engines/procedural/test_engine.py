"""What the engine promises of every clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines.procedural import ProceduralEngine
from bridge.engines.procedural.instrument import Knobs, Note
from bridge.engines.procedural.instruments import TABLE
from bridge.errors import JobCancelled
from bridge.plugins.engine import Engine
from prompts import SampleSpec

Samples = npt.NDArray[np.float32]
Say = Callable[..., Samples]
RATE = 44_100


def test_it_is_an_engine_that_tells_what_it_is(engine: ProceduralEngine) -> None:
    assert isinstance(engine, Engine)
    assert (engine.info.name, engine.info.rate, engine.info.instant) == ("procedural", RATE, True)
    assert not engine.info.generative_model
    assert engine.info.commercial


@pytest.mark.parametrize("name", TABLE)
def test_an_instrument_gives_a_clean_sound(say: Say, name: str) -> None:
    x = say(TABLE[name].words[0], kind="oneshot")
    assert x.dtype == np.float32
    assert x.shape[0] in {1, 2}
    assert np.isfinite(x).all()
    assert 0.8 < np.abs(x).max() <= 1.0
    assert abs(float(x.mean())) < 1e-3
    assert np.abs(x[:, 0]).max() < 1e-4, "it starts with a click"
    assert np.abs(x[:, -1]).max() < 1e-4, "it ends with a click"


@pytest.mark.parametrize("kind", ["oneshot", "pitched", "loop", "texture", "stem", "raw"])
@pytest.mark.parametrize(
    "prompt", ["snare", "acid bass", "warm pad", "🎸", "xyzzy", "epic battle", "vinyl crackle", "lofi hip hop"]
)
def test_every_kind_of_every_prompt_sounds(say: Say, kind: str, prompt: str) -> None:
    x = say(prompt, 2.0 if kind in {"stem", "texture", "raw"} else None, kind=kind)
    assert np.isfinite(x).all()
    assert np.sqrt(np.mean(x**2)) > 0.005
    assert np.abs(x).max() <= 1.0


def test_the_same_spec_is_the_same_sound_and_another_seed_is_another(say: Say) -> None:
    for prompt, kind in (("snare", "oneshot"), ("house beat", "loop"), ("rain", "texture")):
        first, again, other = (say(prompt, kind=kind, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.3])
@pytest.mark.parametrize("prompt", ["kick", "choir", "riser", "piano", "rain"])
def test_a_length_that_is_asked_for_is_kept(say: Say, prompt: str, seconds: float) -> None:
    for kind in ("oneshot", "texture", "stem"):
        assert say(prompt, seconds, kind=kind).shape[1] == round(seconds * RATE)


def test_a_key_is_played_in_tune(say: Say) -> None:
    for prompt, key, expected in (
        ("piano", "a", 220.0),
        ("nylon guitar", "f#m", 185.0),
        ("808 kick", "g", 49.0),
        ("flute", "c", 523.25),
    ):
        x = say(prompt, kind="pitched", key=key).mean(axis=0)[4000:48_100].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 1 << 19))
        low, high = (int(expected * factor * (1 << 19) / RATE) for factor in (0.94, 1.06))
        found = (low + int(np.argmax(spectrum[low:high]))) * RATE / (1 << 19)
        assert abs(1200 * np.log2(found / expected)) < 15, (prompt, found)


@pytest.mark.parametrize("prompt", ["electric bass", "slap bass", "upright bass"])
def test_a_bass_has_its_fundamental_whatever_the_seed(say: Say, prompt: str) -> None:
    for seed in (1, 3, 6):
        x = say(prompt, kind="pitched", seed=seed).mean(axis=0)
        power = np.abs(np.fft.rfft(x)) ** 2
        low = np.fft.rfftfreq(len(x), 1 / RATE) < 250
        assert power[low].sum() > 0.6 * power.sum()


def test_a_hard_synced_lead_screams(say: Say) -> None:
    x = say("hard sync lead", kind="pitched").mean(axis=0)
    power = np.abs(np.fft.rfft(x)) ** 2
    assert (power * np.fft.rfftfreq(len(x), 1 / RATE)).sum() > 450 * power.sum(), "its note is 262 Hz"


def test_words_for_depth_do_not_put_a_pitched_sound_out_of_tune(say: Say) -> None:
    x = say("deep sub bass note", kind="pitched", key="c").mean(axis=0).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(x, 1 << 19))
    assert abs(1200 * np.log2(np.argmax(spectrum) * RATE / (1 << 19) / 65.406)) < 15


def test_progress_rises_to_one_and_comes_often(engine: ProceduralEngine) -> None:
    told: list[float] = []
    spec = SampleSpec(prompt="house beat", kind="stem", seed=1).complete().resolved("procedural", None)
    list(engine.stream(spec, 20.0, told.append))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert len(told) > 50


@pytest.mark.parametrize(
    ("prompt", "kind"), [("house beat", "stem"), ("pad", "texture"), ("kick", "oneshot"), ("piano", "texture")]
)
def test_a_cancelled_job_stops_in_the_middle(engine: ProceduralEngine, prompt: str, kind: str) -> None:
    def report(fraction: float) -> None:
        if fraction > 0.3:
            raise JobCancelled("nobody wants it")

    spec = SampleSpec(prompt=prompt, kind=kind, seed=1).complete().resolved("procedural", None)
    with pytest.raises(JobCancelled):
        list(engine.stream(spec, 30.0, report))


def test_the_docs_name_every_instrument_and_each_of_its_words() -> None:
    page = (Path(__file__).parents[4] / "docs" / "instruments.md").read_text("utf-8")
    lost = [entry.name for entry in TABLE.values() if f"| {', '.join(entry.words)} |" not in page]
    assert lost == []
    assert f"plays {len(TABLE)} instruments" in page


def test_the_instrument_that_the_docs_add_plays() -> None:
    page = (Path(__file__).parents[4] / "docs" / "instruments.md").read_text("utf-8")
    code = page.partition("```python\n")[2].partition("```")[0].replace("from .", "from bridge.engines.procedural.")
    found: dict[str, Any] = {}
    exec(code, found)
    (entry,) = found["INSTRUMENTS"]
    y = entry.play(Note(523.25, entry.seconds, 0.8, Knobs(), np.random.default_rng(1)))
    assert np.abs(y).max() == pytest.approx(1.0)

"""The SoundFont engine: what it needs, and what it plays where that is installed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bridge.engines import registry, soundfont
from bridge.engines._midi import DRUMS, PROGRAMS, Score
from bridge.engines.procedural.instruments import TABLE
from bridge.errors import EngineError, EngineUnavailable, JobCancelled
from bridge.plugins.engine import Engine
from prompts import SampleSpec

RATE = 44_100
Samples = npt.NDArray[np.float32]


def asked(prompt: str, **fields: Any) -> SampleSpec:
    return SampleSpec(prompt=prompt, **{"seed": 1, **fields}).complete().resolved("soundfont", None)


def test_it_is_registered_as_anybodys() -> None:
    assert "soundfont" in registry.names()


def test_without_its_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineUnavailable, match="apt install fluidsynth") as caught:
        soundfont.SoundFontEngine()
    assert caught.value.message.endswith(".")


def test_a_font_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "nowhere.sf2" in (soundfont.SoundFontEngine.missing(str(tmp_path / "nowhere.sf2")) or "")


def test_a_font_of_the_data_folder_is_found_before_unknown_ones(tmp_path: Path) -> None:
    fonts = tmp_path / "soundfonts"
    fonts.mkdir()
    for name in ("another.sf2", "FluidR3_GM.sf2", "notes.txt"):
        (fonts / name).write_bytes(b"")
    assert soundfont.find_font(None, tmp_path) == fonts / "FluidR3_GM.sf2"


def test_every_name_of_its_tables_is_an_instrument() -> None:
    assert {*PROGRAMS, *DRUMS} <= set(TABLE)
    assert all(0 <= number < 128 for number in (*PROGRAMS.values(), *DRUMS.values()))


def test_a_score_is_a_midi_file() -> None:
    score = Score()
    score.add("piano", 0.0, 1.0, 60, 1.0, 0.5)
    score.add("kick", 0.5, 0.1, 36, 0.5, 0.9)
    data = score.to_bytes(2.0)
    assert data[:4] == b"MThd"
    assert struct.unpack(">IHHH", data[4:14]) == (6, 0, 1, 10_000)
    assert data[14:18] == b"MTrk"
    assert struct.unpack(">I", data[18:22])[0] == len(data) - 22
    assert data.endswith(b"\xff\x2f\x00")
    assert bytes([0x90, 60, 127]) in data
    assert bytes([0x99, 36]) in data


@pytest.fixture(scope="module")
def engine() -> soundfont.SoundFontEngine:
    lacks = soundfont.SoundFontEngine.missing()
    if lacks:
        pytest.skip(lacks)
    return soundfont.SoundFontEngine()


def sound(engine: Engine, prompt: str, **fields: Any) -> Samples:
    spec = asked(prompt, **fields)
    (clip,) = engine.stream(spec, spec.seconds, lambda _: None)
    return clip.samples


@pytest.mark.extra
def test_it_is_an_engine_that_names_its_font(engine: soundfont.SoundFontEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.info.model
    assert "/" not in engine.info.model, "where it lies on this machine is nobody's business"
    assert engine.info.model in engine.info.revision
    font = soundfont.find_font(engine.info.model)
    assert font is not None
    assert font == soundfont.find_font(str(font))


@pytest.mark.extra
@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("grand piano", "pitched"),
        ("snare", "oneshot"),
        ("jazz band", "loop"),
        ("strings", "texture"),
        ("flute", "stem"),
    ],
)
def test_it_sounds_and_is_as_long_as_asked(engine: soundfont.SoundFontEngine, prompt: str, kind: str) -> None:
    spec = asked(prompt, kind=kind, bpm=97)
    x = sound(engine, prompt, kind=kind, bpm=97)
    assert np.isfinite(x).all()
    assert 0.5 < np.abs(x).max() <= 1.0
    assert spec.seconds is None or x.shape[1] == round(spec.seconds * RATE)


@pytest.mark.extra
def test_it_plays_the_key(engine: soundfont.SoundFontEngine) -> None:
    x = sound(engine, "grand piano", kind="pitched", key="a").mean(axis=0).astype(np.float64)[4000:60_000]
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 1 << 19))
    found = (2500 + int(np.argmax(spectrum[2500:2740]))) * RATE / (1 << 19)
    assert abs(1200 * np.log2(found / 220.0)) < 8


@pytest.mark.extra
def test_the_same_seed_is_the_same_sound_and_another_seed_another(engine: soundfont.SoundFontEngine) -> None:
    one, again, other = (sound(engine, "harp", kind="pitched", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.extra
def test_what_no_font_has_is_refused_with_a_sentence(engine: soundfont.SoundFontEngine) -> None:
    with pytest.raises(EngineError, match="procedural engine"):
        sound(engine, "laser", kind="oneshot")


@pytest.mark.extra
def test_a_cancelled_job_ends_the_program(engine: soundfont.SoundFontEngine) -> None:
    def report(fraction: float) -> None:
        if fraction > 0:
            raise JobCancelled("nobody wants it")

    spec = asked("orchestral battle", kind="stem", duration=100.0)
    with pytest.raises(JobCancelled):
        list(engine.stream(spec, 100.0, report))


@pytest.mark.extra
def test_a_broken_font_is_told(engine: soundfont.SoundFontEngine, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"RIFF\0\0\0\0sfbk and nothing that belongs there")
    with pytest.raises(EngineError, match="broken"):
        sound(soundfont.SoundFontEngine(model=str(broken)), "piano", kind="pitched")
    broken.write_bytes(b"a text")
    with pytest.raises(EngineUnavailable, match="not a SoundFont"):
        soundfont.SoundFontEngine(model=str(broken))

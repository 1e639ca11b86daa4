"""Which engine ``auto`` means, on machines of every kind."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from bridge.engines import choice
from bridge.engines.choice import choose
from bridge.engines.musicgen import speed, weights
from bridge.engines.musicgen.speed import Speed
from bridge.settings import Settings

COMMIT = "0" * 40


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with torch and the weights of the small model, and without a GPU; its data folder."""
    hub = tmp_path / "hub"
    folder = hub / "models--facebook--musicgen-small"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    for name in ("config.json", "tokenizer.json"):
        (snapshot / name).write_text("{}")
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (snapshot / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    monkeypatch.setattr(weights, "_cache", lambda: hub)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(choice, "_gpu", lambda: False)
    data = tmp_path / "data"
    data.mkdir()
    return data


def measured(data: Path, factor: float) -> None:
    speed.keep(data, COMMIT[:12], Speed(factor, "cpu", "int8", "avx512vnni"))


def test_a_model_whose_speed_nobody_knows_is_not_taken_and_the_sentence_says_how_to_find_out(machine: Path) -> None:
    found = choose(Settings(data_dir=machine))
    assert found.name == "procedural"
    assert "doctor --measure" in found.why


def test_a_model_that_is_faster_than_it_plays_is_taken_with_its_speed(machine: Path) -> None:
    measured(machine, 1.54)
    found = choose(Settings(data_dir=machine))
    assert found.name == "musicgen"
    assert found.why == "MusicGen makes the sounds: it was measured to be faster than real time."


def test_a_model_that_is_slower_than_it_plays_is_not_taken(machine: Path) -> None:
    measured(machine, 0.94)
    found = choose(Settings(data_dir=machine))
    assert (found.name, "too slow here" in found.why, "0.9 s" in found.why) == ("procedural", True, True)


def test_a_gpu_needs_no_measurement_unless_the_cpu_is_set(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_gpu", lambda: True)
    assert choose(Settings(data_dir=machine)).name == "musicgen"
    assert choose(Settings(data_dir=machine, device="cpu")).name == "procedural"


def test_without_weights_nothing_else_is_asked(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_cache", lambda: machine / "empty")
    measured(machine, 2.0)
    assert "no MusicGen weights are on disk" in choose(Settings(data_dir=machine)).why


def test_the_speed_of_other_weights_or_another_machine_says_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed.keep(machine, "f" * 12, Speed(2.0, "cpu", "int8", "avx2"))
    assert choose(Settings(data_dir=machine)).name == "procedural"
    measured(machine, 2.0)
    monkeypatch.setattr(speed, "_machine", lambda: "another")
    assert choose(Settings(data_dir=machine)).name == "procedural"


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', "{", '{"000000000000@m": {"factors": "9"}}'])
def test_a_file_of_speeds_that_cannot_be_read_says_nothing_and_is_written_anew(
    machine: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "_machine", lambda: "m")
    (machine / speed.FILE).write_text(text)
    assert choose(Settings(data_dir=machine)).name == "procedural"
    measured(machine, 2.0)
    assert choose(Settings(data_dir=machine)).name == "musicgen"


def test_a_machine_that_is_busy_now_and_then_is_as_quick_as_it_mostly_is(machine: Path) -> None:
    for factor in (0.3, 1.5, 1.6, 1.4, 0.4, 1.5):
        measured(machine, factor)
    assert speed.kept(machine, COMMIT[:12]) == Speed(1.5, "cpu", "int8", "avx512vnni")
    speed.keep(machine, COMMIT[:12], Speed(0.5, "cpu", "bfloat16", "avx512vnni"))
    assert speed.kept(machine, COMMIT[:12]) == Speed(0.5, "cpu", "bfloat16", "avx512vnni"), "that is something else"


def test_only_the_youngest_speeds_are_kept(machine: Path) -> None:
    for number in range(100):
        speed.keep(machine, f"{number:012d}", Speed(number, "cpu", "int8", "avx2"))
    assert len(json.loads((machine / speed.FILE).read_text())) == 32
    assert speed.kept(machine, f"{99:012d}") == Speed(99, "cpu", "int8", "avx2")
    assert speed.kept(machine, f"{9:012d}") is None


def test_without_mock_generation_nothing_is_synthesised_whatever_is_missing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for present in (object(), None):
        monkeypatch.setattr(importlib.util, "find_spec", lambda _, present=present: present)
        found = choose(Settings(data_dir=machine, mock_generation=False))
        assert found.name == "musicgen"
        assert "MOCK_GENERATION is false" in found.why
    assert choose(Settings(data_dir=machine, mock_generation=False, engine="endpoint")).name == "endpoint"

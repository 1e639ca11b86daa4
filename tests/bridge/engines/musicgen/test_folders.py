"""Folders with and without weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bridge.engines.musicgen import MusicGenEngine, resolve_model, weights, weights_present
from bridge.errors import EngineUnavailable
from prompts import Kind, SampleSpec

pytestmark = pytest.mark.torch

SPEC = SampleSpec(prompt="warm kick", kind=Kind.RAW, seed=1)


def nobody(progress: float) -> None:
    """Hears no progress."""


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny MusicGen that may be spoilt."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def lfs_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2\n")


def shards(folder: Path) -> None:
    from transformers import MusicgenForConditionalGeneration

    model = MusicgenForConditionalGeneration.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="500KB")


def a_shard_is_gone(folder: Path) -> None:
    shards(folder)
    min(folder.glob("model-*-of-*.safetensors")).unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without("config.json"), "lacks config.json: copy"),
        (without("model.safetensors"), r"lacks model\.safetensors: copy"),
        (without("tokenizer.json"), r"lacks tokenizer\.json: copy"),
        (cut, r"lacks model\.safetensors: copy"),
        (lfs_pointer, r"lacks model\.safetensors: copy"),
        (a_shard_is_gone, r"lacks model-00001-of-\d+\.safetensors: copy"),
    ],
)
def test_what_a_folder_lacks_is_named(copy: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(copy)
    assert not weights_present(resolve_model(str(copy)))
    with pytest.raises(EngineUnavailable, match=says):
        MusicGenEngine(model=str(copy), device="cpu")


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"nowhere does not exist: point BRIDGE_MODEL"):
        MusicGenEngine(model=str(tmp_path / "nowhere"), device="cpu")


def test_weights_as_a_pickle_are_refused_and_never_opened(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    # unpickling this makes a folder
    (copy / "pytorch_model.bin").write_bytes(b"cos\nmkdir\n(V" + str(copy / "opened").encode() + b"\ntR.")
    with pytest.raises(EngineUnavailable, match=r"only as a pickle \(pytorch_model\.bin\).*save the model again"):
        MusicGenEngine(model=str(copy), device="cpu")
    assert not (copy / "opened").exists()


def test_a_model_in_several_files_is_loaded(copy: Path) -> None:
    shards(copy)
    assert len(list(copy.glob("model-*-of-*.safetensors"))) > 1
    assert MusicGenEngine(model=str(copy), device="cpu").info.rate == 32_000


def test_a_model_of_another_kind_is_named(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(EngineUnavailable, match="holds a 't5', not a MusicGen"):
        MusicGenEngine(model=str(copy), device="cpu")


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_configuration_that_cannot_be_read_is_said(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    with pytest.raises(EngineUnavailable, match=r"config\.json cannot be read"):
        MusicGenEngine(model=str(copy), device="cpu")


@pytest.mark.parametrize(
    "part",
    [
        "decoder.model.decoder.layers.1.fc1",
        "decoder.lm_heads.2",
        "text_encoder.encoder.block.0",
        "audio_encoder.decoder.layers.0",
        "audio_encoder.quantizer.layers.1.codebook.embed",
    ],
)
def test_weights_that_lack_a_part_are_not_filled_up_with_noise(copy: Path, part: str) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(part)}
    assert len(kept) < len(tensors)
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineUnavailable, match=rf"lack .*{part.partition('.')[2]}.* copy the model again"):
        MusicGenEngine(model=str(copy), device="cpu")


def test_weights_with_the_names_of_2023_sound_the_same(tiny: Path, copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    tensors = load_file(copy / "model.safetensors")
    for new_name, old_name in old.items():
        tensors = {name.replace(new_name, old_name): tensor for name, tensor in tensors.items()}
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    one, other = (
        next(iter(MusicGenEngine(model=str(folder), device="cpu").stream(SPEC, 0.2, nobody))) for folder in (tiny, copy)
    )
    assert np.array_equal(one.samples, other.samples)


def test_weights_that_do_not_fit_their_configuration_are_a_sentence(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["decoder"]["ffn_dim"] = 128
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineUnavailable, match=r"config\.json says .* copy both from the same one"):
        MusicGenEngine(model=str(copy), device="cpu")


def test_the_revision_follows_the_weights_and_not_the_place(tiny: Path, copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    assert weights.revision(copy) == weights.revision(tiny)
    tuned = {name: tensor * 1.01 for name, tensor in load_file(copy / "model.safetensors").items()}
    save_file(tuned, copy / "model.safetensors", metadata={"format": "pt"})
    assert weights.revision(copy) != weights.revision(tiny)


def test_the_revision_follows_the_configuration(tiny: Path, copy: Path) -> None:
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    assert weights.revision(copy) != weights.revision(tiny)


def test_a_readme_beside_the_weights_gives_the_licence(copy: Path) -> None:
    (copy / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    info = MusicGenEngine(model=str(copy), device="cpu").info
    assert (info.licence, info.commercial) == ("CC-BY-4.0", True)

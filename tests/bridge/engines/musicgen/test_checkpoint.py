"""Checkpoints: what is read out of them, and what is said of those that cannot be."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.checkpoint import Checkpoint, open_checkpoint
from bridge.engines.musicgen.decoder import Floats
from bridge.engines.musicgen.models import split_adapter
from bridge.errors import EngineUnavailable
from tests.musicgen_reference import reference
from tests.tiny_musicgen import build_tiny_musicgen

pytestmark = pytest.mark.torch

LAYERS = "decoder.model.decoder.layers"


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy, to be broken."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.fixture(scope="module")
def opened(tiny: Path) -> Checkpoint:
    return open_checkpoint(tiny)


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the tensors of a folder."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _configure(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(("channels", "melody"), [(1, False), (2, False), (1, True)])
def test_every_kind_says_its_sizes(tmp_path: Path, one_thread: None, channels: int, melody: bool) -> None:
    checkpoint = open_checkpoint(build_tiny_musicgen(tmp_path / "model", channels=channels, melody=melody))
    shape = checkpoint.decoder_weights().shape
    assert (checkpoint.rate, checkpoint.hop, checkpoint.channels, checkpoint.delay) == (32_000, 640, channels, 3)
    assert (shape.layers, shape.hidden, shape.heads, shape.ffn, shape.vocabulary) == (2, 64, 4, 256, 64)
    assert (shape.codebooks, shape.positions, shape.cross) == (4 * channels, 2048, not melody)
    assert checkpoint.melody == melody


def test_weights_are_the_models(opened: Checkpoint, tiny: Path) -> None:
    model = reference(tiny).state_dict()
    weights = opened.decoder_weights()
    first = [model[f"{LAYERS}.1.self_attn.{which}_proj.weight"].numpy() for which in "qkv"]
    np.testing.assert_array_equal(weights.read("1.qkv"), np.concatenate(first))
    for name, theirs in {
        "0.cross_out": f"{LAYERS}.0.encoder_attn.out_proj.weight",
        "1.fc2": f"{LAYERS}.1.fc2.weight",
        "0.ffn_norm.bias": f"{LAYERS}.0.final_layer_norm.bias",
        "norm.weight": "decoder.model.decoder.layer_norm.weight",
    }.items():
        np.testing.assert_array_equal(weights.read(name), model[theirs].numpy())
    assert weights.read("embed").shape == (4 * 65, 64)
    np.testing.assert_array_equal(weights.read("heads")[64:128], model["decoder.lm_heads.1.weight"].numpy())
    assert weights.read("heads").flags.c_contiguous


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_halves_are_read_as_floats(folder: Path, opened: Checkpoint, kind: str) -> None:
    import torch

    dtype = getattr(torch, kind)
    _rewrite(
        folder,
        lambda tensors: tensors.update({name: t.to(dtype) for name, t in tensors.items() if t.is_floating_point()}),
    )
    halves = open_checkpoint(folder).decoder_weights().read("0.fc1")
    wanted = torch.from_numpy(opened.decoder_weights().read("0.fc1")).to(dtype).float().numpy()
    np.testing.assert_array_equal(halves, wanted)
    assert halves.dtype == np.float32


def test_weights_in_several_files_are_one_model(tiny: Path, folder: Path, opened: Checkpoint) -> None:
    reference(tiny).save_pretrained(folder, max_shard_size="400KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    assert len(list(folder.glob("*.safetensors"))) > 2
    sharded = open_checkpoint(folder)
    np.testing.assert_array_equal(sharded.decoder_weights().read("heads"), opened.decoder_weights().read("heads"))
    last = max(folder.glob("*.safetensors"))
    last.unlink()
    with pytest.raises(EngineUnavailable, match=f"{last.name} is missing: download"):
        open_checkpoint(folder)


def test_the_codec_is_the_models(opened: Checkpoint, tiny: Path) -> None:
    ours, theirs = opened.codec().state_dict(), reference(tiny).audio_encoder.state_dict()
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == values).all() for name, values in theirs.items())


def test_old_names_of_normed_weights_are_understood(folder: Path, opened: Checkpoint) -> None:
    def rename(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if "parametrizations" in name]:
            old = name.replace("parametrizations.weight.original0", "weight_g")
            tensors[old.replace("parametrizations.weight.original1", "weight_v")] = tensors.pop(name)

    _rewrite(folder, rename)
    old, new = open_checkpoint(folder).codec().state_dict(), opened.codec().state_dict()
    assert all((old[name] == values).all() for name, values in new.items())


def test_a_tensor_is_read_without_a_copy_of_all(opened: Checkpoint) -> None:
    weights = opened.decoder_weights()
    tracemalloc.start()
    try:
        for name in ("embed", "heads", "0.qkv", "0.fc1", "0.fc2", "1.qkv", "1.fc1", "1.fc2"):
            weights.read(name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    largest = max(weights.read(name).nbytes for name in ("embed", "heads", "0.qkv", "0.fc1"))
    assert peak < 3 * largest + 100_000  # all of them are eight times as much


def test_the_digest_follows_the_content(folder: Path, opened: Checkpoint, tiny: Path) -> None:
    assert open_checkpoint(folder).digest == opened.digest
    assert opened.decoder_weights().digest == opened.digest
    _rewrite(folder, lambda tensors: [tensor.mul_(1.01) for tensor in tensors.values() if tensor.is_floating_point()])
    assert open_checkpoint(folder).digest != opened.digest


# adapters


def _adapter(folder: Path, weights: dict[str, Floats], rank: int = 2, alpha: float = 6.0, **config: Any) -> Path:
    """Write an adapter as peft does."""
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    save_file(
        {f"base_model.model.{name}": values for name, values in weights.items()}, folder / "adapter_model.safetensors"
    )
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": alpha, **config})
    )
    return folder


def _pair(module: str, out: int = 64, width: int = 64, rank: int = 2) -> tuple[dict[str, Floats], Floats]:
    """Weights of an adapter, and their product."""
    random = np.random.default_rng(len(module))
    a = random.standard_normal((rank, width), dtype=np.float32)
    b = random.standard_normal((out, rank), dtype=np.float32)
    return {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}, b @ a


QUERY = f"{LAYERS}.1.self_attn.q_proj"


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 3.0),
        ({"use_rslora": True}, 6.0 / np.sqrt(2.0)),
        ({"alpha_pattern": {"self_attn.q_proj": 8}}, 4.0),
        ({"rank_pattern": {r"layers\.0\.self_attn\.q_proj": 4}}, 3.0),
    ],
)
def test_an_adapter_is_merged_as_it_is_read(
    tiny: Path, tmp_path: Path, opened: Checkpoint, config: dict[str, Any], scale: float
) -> None:
    weights, product = _pair(QUERY)
    tuned = open_checkpoint(tiny, _adapter(tmp_path / "adapter", weights, **config))
    plain, merged = opened.decoder_weights().read("1.qkv"), tuned.decoder_weights().read("1.qkv")
    np.testing.assert_allclose(merged[:64], plain[:64] + scale * product, atol=1e-5)
    np.testing.assert_array_equal(merged[64:], plain[64:])
    np.testing.assert_array_equal(tuned.decoder_weights().read("0.qkv"), opened.decoder_weights().read("0.qkv"))
    assert tuned.digest != opened.digest


def test_an_adapter_in_the_folder_itself_is_merged(folder: Path, opened: Checkpoint) -> None:
    weights, product = _pair("enc_to_dec_proj", 64, 32)
    _adapter(folder, weights)
    plain, merged = opened.projection.weight, open_checkpoint(folder).projection.weight
    assert plain is not None
    np.testing.assert_allclose(merged, plain + 3.0 * product, atol=1e-5)


def test_adapters_of_embeddings_magnitudes_and_whole_weights_are_merged(
    tiny: Path, tmp_path: Path, opened: Checkpoint
) -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 65), dtype=np.float32), random.standard_normal((64, 2), dtype=np.float32)
    embed = "decoder.model.decoder.embed_tokens.2"
    pair, product = _pair(QUERY)
    length = random.random(64, dtype=np.float32) + 1
    whole = random.standard_normal((64, 64), dtype=np.float32)
    given = {
        f"{embed}.lora_embedding_A": a, f"{embed}.lora_embedding_B": b,
        **pair, f"{QUERY}.lora_magnitude_vector": length,
        "decoder.lm_heads.3.weight": whole,
    }  # fmt: skip
    plain = opened.decoder_weights()
    tuned = open_checkpoint(tiny, _adapter(tmp_path / "adapter", given)).decoder_weights()
    np.testing.assert_allclose(tuned.read("embed")[130:195], plain.read("embed")[130:195] + 3.0 * (b @ a).T, atol=1e-5)
    query = tuned.read("1.qkv")[:64]
    np.testing.assert_allclose(np.linalg.norm(query, axis=1), length, rtol=1e-5)
    moved = plain.read("1.qkv")[:64] + 3.0 * product
    np.testing.assert_allclose(query / length[:, None], moved / np.linalg.norm(moved, axis=1)[:, None], atol=1e-5)
    np.testing.assert_array_equal(tuned.read("heads")[192:], whole)


def test_a_model_and_its_adapter_are_one_name(tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "techno", _pair(QUERY)[0])
    assert split_adapter(f"small+{adapter}") == ("small", adapter)
    assert split_adapter("./a+b") == ("./a+b", None)
    assert split_adapter("small") == ("small", None)


@pytest.mark.parametrize(
    ("weights", "config", "sentence"),
    [
        (_pair(QUERY, 128)[0], {}, "trained on another model: its .* size"),
        (_pair(f"{LAYERS}.9.fc1")[0], {}, "trained on another model"),
        ({f"{QUERY}.lora_A.weight": np.ones((2, 64), np.float32)}, {}, "half of a pair"),
        ({f"{QUERY}.lora_other": np.ones(3, np.float32)}, {}, "merge_and_unload"),
        (_pair(QUERY)[0], {"peft_type": "LOHA"}, "merge_and_unload"),
        (_pair(QUERY)[0], {"bias": "all"}, "merge_and_unload"),
    ],
)
def test_an_adapter_that_does_not_fit_is_a_sentence(
    tiny: Path, tmp_path: Path, weights: dict[str, Floats], config: dict[str, Any], sentence: str
) -> None:
    adapter = _adapter(tmp_path / "adapter", weights, **config)
    with pytest.raises(EngineUnavailable, match=sentence):
        open_checkpoint(tiny, adapter).decoder_weights().read("1.qkv")


def test_an_adapter_without_weights_or_configuration_is_a_sentence(tiny: Path, tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "adapter", _pair(QUERY)[0])
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match="is missing"):
        open_checkpoint(tiny, adapter)
    (adapter / "adapter_config.json").write_text("[")
    with pytest.raises(EngineUnavailable, match="save the adapter again"):
        open_checkpoint(tiny, adapter)


# what cannot be read


def _without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _garbage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _another_model(folder: Path) -> None:
    _configure(folder, lambda config: config.update(model_type="bert"))


def _empty_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "musicgen"}')


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut_off(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])


def _cut_in_the_header(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:100])


def _pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _without_a_layer(folder: Path) -> None:
    _rewrite(folder, lambda tensors: tensors.pop(f"{LAYERS}.1.fc1.weight"))


def _another_vocabulary(folder: Path) -> None:
    _configure(folder, lambda config: config["decoder"].update(vocab_size=128, pad_token_id=128))


def _more_codebooks(folder: Path) -> None:
    _configure(folder, lambda config: config["decoder"].update(num_codebooks=5))


def _small_codec(folder: Path) -> None:
    _configure(folder, lambda config: config["audio_encoder"].update(codebook_size=32))


def _other_activation(folder: Path) -> None:
    _configure(folder, lambda config: config["decoder"].update(activation_function="relu"))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_without_config, "has no config.json: point BRIDGE_MODEL"),
        (_garbage_config, "config.json cannot be read as a model's configuration: download or copy"),
        (_another_model, "holds a 'bert', not a MusicGen"),
        (_empty_config, "are of different models; copy both"),
        (_without_weights, "has no model.safetensors"),
        (_pickle, r"only as a pickle \(pytorch_model.bin\)"),
        (_cut_off, "cut off"),
        (_cut_in_the_header, "cut off"),
        (_pointer, "cut off, or not a safetensors file"),
        (_without_a_layer, "lack decoder.model.decoder.layers.1.fc1.weight: download"),
        (_another_vocabulary, "config.json says"),
        (_more_codebooks, "lack decoder.model.decoder.embed_tokens.4.weight"),
        (_small_codec, "4 codebooks of 64 codes and the codec reads 32"),
        (_other_activation, "relu, not gelu"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(folder: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(folder)
    with pytest.raises(EngineUnavailable, match=sentence):
        open_checkpoint(folder)


def test_parts_that_are_not_whole_are_a_sentence(folder: Path) -> None:
    def take(tensors: dict[str, Any]) -> None:
        for name in [
            name
            for name in tensors
            if name.startswith(("audio_encoder.decoder.layers.0", "text_encoder.encoder.block.0"))
        ]:
            tensors.pop(name)

    _rewrite(folder, take)
    (folder / "tokenizer.json").write_text("{}")
    checkpoint = open_checkpoint(folder)
    with pytest.raises(EngineUnavailable, match="tensors of the audio_encoder"):
        checkpoint.codec()
    with pytest.raises(EngineUnavailable, match="tensors of the text_encoder"):
        checkpoint.text_encoder()
    with pytest.raises(EngineUnavailable, match="tokenizer"):
        checkpoint.tokenizer()

"""The decoder's conditioning by words and melodies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.checkpoint import Checkpoint, open_checkpoint
from bridge.engines.musicgen.text import MOST_TOKENS, PromptEncoder, pack_linears
from tests.musicgen_reference import reference
from tests.tiny_musicgen import build_tiny_musicgen

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def opened(tiny: Path) -> Checkpoint:
    return open_checkpoint(tiny)


@pytest.fixture(scope="module")
def encoder(opened: Checkpoint) -> PromptEncoder:
    return PromptEncoder(opened, dtype="float32")


@pytest.mark.parametrize("words", ["slow warm pad", "", "choir"])
def test_encoder_states_are_the_references(opened: Checkpoint, encoder: PromptEncoder, tiny: Path, words: str) -> None:
    import torch

    model = reference(tiny)
    with torch.inference_mode():
        text = opened.tokenizer()(words, return_tensors="pt")
        theirs = model.enc_to_dec_proj(model.text_encoder(**text).last_hidden_state)[0].numpy()
    np.testing.assert_allclose(encoder.encoder_states(words), theirs, atol=1e-5)
    near = PromptEncoder(opened, dtype="bfloat16").encoder_states(words)
    assert np.linalg.norm(near - theirs) < 0.03 * np.linalg.norm(theirs)
    assert near.dtype == np.float32


@pytest.mark.parametrize("count", [1, 12, 16, 40])
def test_packed_layers_give_the_same_numbers_to_the_last_bit(opened: Checkpoint, count: int) -> None:
    import torch

    plain, packed = opened.text_encoder("bfloat16"), opened.text_encoder("bfloat16")
    pack_linears(packed)
    linears = [each for each in packed.modules() if isinstance(each, torch.nn.Linear)]
    can_pack = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert linears == [] or not can_pack
    tokens = torch.arange(1, count + 1)[None]
    with torch.inference_mode():
        ours, theirs = (each(input_ids=tokens).last_hidden_state for each in (packed, plain))
    assert torch.equal(ours, theirs)


def test_a_torch_that_packs_nothing_computes_all_the_same(opened: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def refuse(*_: object) -> None:
        raise RuntimeError("not on this machine")

    monkeypatch.setattr("bridge.engines.musicgen.text._PackedLinear", refuse)
    encoder = opened.text_encoder("bfloat16")
    pack_linears(encoder)
    assert any(isinstance(each, torch.nn.Linear) for each in encoder.modules())


def test_ten_thousand_words_are_cut(encoder: PromptEncoder) -> None:
    assert encoder.encoder_states("drum " * 10_000).shape == (MOST_TOKENS, 64)


def test_the_same_words_are_read_once(encoder: PromptEncoder) -> None:
    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(encoder.encoder_states, ["a warm bass"] * 8)
    assert all(other is first for other in others)
    for number in range(100):
        encoder.encoder_states(f"choir {number}")
    assert encoder.encoder_states("a warm bass") is not first


def test_a_melody_model_gets_the_tune_before_the_words(tmp_path: Path, one_thread: None) -> None:
    checkpoint = open_checkpoint(build_tiny_musicgen(tmp_path / "melody", melody=True))
    encoder, length = PromptEncoder(checkpoint, dtype="float32"), checkpoint.config.chroma_length
    tune = np.eye(12, dtype=np.float32)[[0, 4, 7]]
    given, none = encoder.conditioning("choir", tune), encoder.conditioning("choir")
    assert given.encoder_states is None
    assert given.prefix is not None
    assert none.prefix is not None
    assert given.unconditional_prefix is not None
    np.testing.assert_allclose(given.prefix[:3], checkpoint.chroma_projection(tune), atol=1e-6)
    np.testing.assert_array_equal(given.prefix[3:length], given.prefix[: length - 3])
    np.testing.assert_array_equal(given.prefix[length:], encoder.encoder_states("choir"))
    np.testing.assert_array_equal(none.prefix[:length], np.repeat(given.prefix[:1], length, axis=0))
    np.testing.assert_array_equal(given.unconditional_prefix[:length], none.prefix[:length])
    assert not given.unconditional_prefix[length:].any()
    long = encoder.conditioning("choir", np.tile(tune, (200, 1)))
    assert long.prefix is not None
    assert len(long.prefix) == len(given.prefix)

"""Frames in the delay pattern, and back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from bridge.engines.musicgen.pattern import DelayPattern

pytestmark = pytest.mark.torch

N = 99
MONO = DelayPattern(codebooks=4, channels=1, nothing=N)
STEREO = DelayPattern(codebooks=8, channels=2, nothing=N)


def test_each_codebook_comes_a_step_after_the_one_before() -> None:
    frames = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.int32)
    assert MONO.columns(frames, 0, 6).tolist() == [
        [N, N, N, N], [1, N, N, N], [5, 2, N, N], [N, 6, 3, N], [N, N, 7, 4], [N, N, N, 8],
    ]  # fmt: skip


def test_left_and_right_come_together() -> None:
    frames = np.arange(8, dtype=np.int32)[None]
    assert STEREO.columns(frames, 1, 5).tolist() == [
        [0, 1, N, N, N, N, N, N], [N, N, 2, 3, N, N, N, N], [N, N, N, N, 4, 5, N, N], [N, N, N, N, N, N, 6, 7],
    ]  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_the_references_pattern(channels: int) -> None:
    import torch
    from transformers import MusicgenDecoderConfig, MusicgenForCausalLM

    codebooks, frames = 4 * channels, 9
    tiny = MusicgenDecoderConfig(
        vocab_size=N, pad_token_id=N, bos_token_id=N, hidden_size=8, num_hidden_layers=1, ffn_dim=8,
        num_attention_heads=1, num_codebooks=codebooks, audio_channels=channels,
    )  # fmt: skip
    pattern = MONO if channels == 1 else STEREO
    codes = np.random.default_rng(0).integers(0, N, (frames, codebooks), dtype=np.int32)
    given = torch.cat([torch.full((codebooks, 1), N), torch.from_numpy(codes.T).long()], dim=1)
    length = 1 + pattern.steps(frames)
    _, theirs = MusicgenForCausalLM(tiny).build_delay_pattern_mask(given, N, max_length=length)
    assert pattern.columns(codes, 0, length).T.tolist() == theirs.tolist()


@pytest.mark.parametrize("pattern", [MONO, STEREO])
def test_frames_come_out_of_the_columns_again(pattern: DelayPattern) -> None:
    frames = np.random.default_rng(1).integers(0, N, (7, pattern.codebooks), dtype=np.int32)
    columns = pattern.columns(frames, 0, 1 + pattern.steps(7))
    np.testing.assert_array_equal(pattern.frames(columns, 0, 7), frames)
    np.testing.assert_array_equal(pattern.frames(columns, 2, 5), frames[2:5])


@pytest.mark.parametrize("pattern", [MONO, STEREO])
def test_a_frame_is_whole_when_its_last_code_is_drawn(pattern: DelayPattern) -> None:
    frames = np.random.default_rng(1).integers(0, N, (7, pattern.codebooks), dtype=np.int32)
    columns = pattern.columns(frames, 0, 1 + pattern.steps(7))
    for column in range(1, 1 + pattern.steps(7)):
        drawn = columns.copy()
        drawn[column + 1 :] = -1
        whole = pattern.whole(column)
        assert (pattern.frames(drawn, 0, whole) >= 0).all()
        assert whole == 7 or (pattern.frames(drawn, whole, whole + 1) < 0).any()

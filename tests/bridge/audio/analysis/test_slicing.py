"""A loop in slices: one hit each, and together the loop again."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.audio.analysis.slicing import MOST, slices, write_slices
from bridge.audio.files import codecs
from bridge.plugins.clip import Clip

RATE = 44100


def hits(count: int, seconds: float = 4.0) -> Clip:
    time = np.arange(round(seconds / count * RATE)) / RATE
    dice = np.random.default_rng(1)
    pieces = [dice.standard_normal(len(time)) * np.exp(-40 * time) * (0.3 if n % 2 else 0.1) for n in range(count)]
    return Clip.of(np.stack([np.concatenate(pieces)] * 2), RATE)


@pytest.mark.parametrize("count", [4, 8, 16])
def test_each_hit_is_a_slice_that_begins_just_before_it(count):
    found = slices(hits(count))
    assert len(found) == count
    starts = np.array([start for start, _ in found]) / RATE
    np.testing.assert_allclose(starts, np.arange(count) * 4.0 / count, atol=0.004)
    assert all(not piece.samples[:, -1].any() for _, piece in found)


def test_slices_in_their_order_are_the_loop_again():
    loop = hits(8)
    again = np.concatenate([piece.samples for _, piece in slices(loop)], axis=1)
    assert again.shape == loop.samples.shape
    assert float(np.abs(again - loop.samples).max()) < 0.02


def test_of_more_than_sixteen_the_clearest_attacks_count():
    found = slices(hits(32))
    assert len(found) == MOST
    assert sum(piece.frames for _, piece in found) == hits(32).frames


def test_a_sound_without_attacks_is_one_slice():
    assert len(slices(Clip.of(np.sin(np.arange(2 * RATE) * 0.02), RATE))) == 1


def test_files_are_masters_and_deliveries_with_what_they_are(tmp_path):
    pcm = codecs.to_pcm(hits(4))
    codecs.write_master(tmp_path / "loop.wav", pcm, RATE)
    written = write_slices(tmp_path / "loop.wav", tmp_path, "id")
    assert len(written) == len({each["sample_id"] for each in written}) == 4
    again, rate = codecs.read_pcm(tmp_path / written[1]["master"])
    assert (rate, len(again), again.shape[1]) == (RATE, written[1]["frames"], written[1]["channels"])
    assert codecs.sample_id(again, rate) == written[1]["sample_id"]
    assert (tmp_path / written[1]["wav"]).exists()

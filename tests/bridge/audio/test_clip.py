"""Audio in memory."""

import numpy as np
import pytest

from bridge.plugins.clip import Clip


def test_a_clip_knows_its_shape():
    clip = Clip.of([[0.0] * 100, [1.0] * 100], 50)
    assert (clip.channels, clip.frames, clip.seconds) == (2, 100, 2.0)
    assert Clip.of([0.5, 0.25], 50).samples.shape == (1, 2)
    assert Clip.of(np.zeros(3, np.float64), 50).samples.dtype == np.float32


@pytest.mark.parametrize(
    "samples",
    [np.zeros(10, np.float32), np.zeros((1, 1, 10), np.float32), np.zeros((1, 10)), np.zeros((1, 10), np.int16)],
)
def test_an_array_of_another_shape_or_type_is_no_clip(samples):
    with pytest.raises(ValueError, match="a clip"):
        Clip(samples, 44100)


def test_pieces_are_joined_in_their_order():
    joined = Clip.join([Clip.of([1.0, 2.0], 10), Clip.of([3.0], 10)])
    assert joined.samples.tolist() == [[1.0, 2.0, 3.0]]


def test_pieces_of_different_streams_are_not_joined():
    for other in (Clip.of([1.0], 20), Clip.of([[1.0], [2.0]], 10)):
        with pytest.raises(ValueError, match="differ"):
            Clip.join([Clip.of([1.0], 10), other])
    with pytest.raises(ValueError, match="no pieces"):
        Clip.join([])

"""From more than two channels to two, by ITU-R BS.775: centre and surrounds come in 3 dB lower, the LFE stays out."""

from __future__ import annotations

import numpy as np

from bridge.audio.analysis.spectrum import Signal

_LESS = 0.5**0.5
_LEFT, _RIGHT, _BOTH, _NONE = (1.0, 0.0), (0.0, 1.0), (_LESS, _LESS), (0.0, 0.0)
_SIDE_LEFT, _SIDE_RIGHT, _BEHIND = (_LESS, 0.0), (0.0, _LESS), (0.5, 0.5)
_SPEAKERS = (
    _LEFT, _RIGHT, _BOTH, _NONE, _SIDE_LEFT, _SIDE_RIGHT, _LEFT, _RIGHT, _BEHIND, _SIDE_LEFT, _SIDE_RIGHT,
    _BEHIND, _SIDE_LEFT, _BOTH, _SIDE_RIGHT, _SIDE_LEFT, _BEHIND, _SIDE_RIGHT,
)  # fmt: skip
"""What each bit of WAV's channel mask gives to left and right, from front left to top back right."""
_USUAL = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""The usual speakers for each number of channels, where the file names none; the same in WAV and FLAC."""
_OF_OGG = {3: (0, 2, 1), 5: (0, 2, 1, 3, 4), 6: (0, 2, 1, 4, 5, 3), 7: (0, 2, 1, 5, 6, 4, 3),
           8: (0, 2, 1, 6, 7, 4, 5, 3)}  # fmt: skip
"""Where Vorbis and Opus put the channels: the place in ``_USUAL``'s order of each of theirs."""


def matrix(channels: int, mask: int, container: str) -> Signal | None:
    """Give the weights of each channel in left and right, (channels, 2); None for one or two channels.

    ``mask``: WAV's dwChannelMask, 0 when unknown. ``container``: libsndfile's name of the format.
    """
    if channels <= 2:
        return None
    rows = _speakers(mask) if mask else []
    if len(rows) != channels:
        rows = _speakers(_USUAL[channels])
    if container == "OGG" and channels in _OF_OGG:
        rows = [rows[at] for at in _OF_OGG[channels]]
    return np.array(rows, dtype=np.float32)


def _speakers(mask: int) -> list[tuple[float, float]]:
    return [gains for bit, gains in enumerate(_SPEAKERS) if mask >> bit & 1]

"""The outline of a sample, to draw it: a few hundred bytes instead of the whole file.

Knows numpy only for masters that are not 24-bit WAV: a server of kept sounds draws them without loading it.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

from bridge.audio.files.riff import NotRiff, audio

PIECES = 360
"""Equal parts of the sample; each has a lowest and a highest value."""
_BYTES = 3
_BIASED = bytes(value ^ 0x80 for value in range(256))
"""Signed bytes in the order of unsigned ones, in which ``max`` and ``min`` of bytes compare."""


def peaks(master: Path) -> bytes:
    """Measure a master: ``PIECES`` pairs of signed bytes (lowest, highest) over all channels; 127 is full scale."""
    data = master.read_bytes()
    try:
        form, start, stop = audio(data)
    except NotRiff:
        return _outline(_top_bytes(master), 2)
    if (form.code, form.bits) != (1, 24):
        return _outline(_top_bytes(master), 2)
    # The highest of the three bytes of each value is the value in eight bits.
    return _outline(data[start + _BYTES - 1 : stop : _BYTES].translate(_BIASED), form.channels)


def _outline(values: bytes, channels: int) -> bytes:
    """``values``: biased bytes, the channels of a frame side by side."""
    frames = len(values) // channels
    edges = [channels * (piece * frames // PIECES) for piece in range(PIECES + 1)]
    pairs = []
    for start, stop in pairwise(edges):
        part = values[start : max(stop, start + channels)] or b"\x80"
        pairs += [min(part) - 128, max(part) - 128]
    return struct.pack(f"{len(pairs)}b", *pairs)


def _top_bytes(master: Path) -> bytes:
    import numpy as np

    from bridge.audio.files import codecs

    pcm, _ = codecs.read_pcm(master)
    top = (pcm >> 24).astype(np.int8)
    # Both extremes of each frame, whatever its channels: two values a frame.
    both = np.stack([top.min(axis=1), top.max(axis=1)], axis=1).reshape(-1)
    return both.view(np.uint8).tobytes().translate(_BIASED)

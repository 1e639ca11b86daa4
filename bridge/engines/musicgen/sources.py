"""Given audio in the shapes that MusicGen takes: codes that it continues from, or a tune that it follows."""

from __future__ import annotations

import numpy as np

from bridge.audio.channels import with_channels
from bridge.audio.finishing.resample import resample
from bridge.engines.musicgen.chroma import chroma_of
from bridge.engines.musicgen.codec import StreamingCodec
from bridge.engines.musicgen.decoder import Codes, Floats
from bridge.errors import EngineError
from bridge.plugins.clip import Clip

SHORTEST_SECONDS = 0.1
"""Less than this says nothing."""


def as_prompt(source: Clip, codec: StreamingCodec, most: int) -> Codes:
    """Turn the last ``most`` frames (at the codec's rate) of ``source`` into codes (P, K). Raises EngineError."""
    _check(source)
    samples = with_channels(resample(_end(source, most / codec.rate), codec.rate).samples, codec.channels)
    samples = samples[:, samples.shape[1] % codec.hop :]  # whole codes, up to the very end
    return codec.encode(np.ascontiguousarray(samples[:, -most:]))


def as_tune(source: Clip, begins: float) -> Floats:
    """Hear the melody of ``source`` from second ``begins`` on, going round: (frames, 12). Raises EngineError."""
    _check(source)
    first = round(begins * source.rate) % source.frames
    return chroma_of(Clip(np.roll(source.samples, -first, axis=1), source.rate) if first else source)


def _end(source: Clip, seconds: float) -> Clip:
    return Clip(source.samples[:, -max(1, round(seconds * source.rate)) :], source.rate)


def _check(source: Clip) -> None:
    if source.seconds < SHORTEST_SECONDS or not np.isfinite(source.samples).all():
        raise EngineError(
            f"source: {source.seconds:.2f} s of audio are too little to go on from; send a second or more of a sound"
        )

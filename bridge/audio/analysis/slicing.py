"""A loop in slices, one hit each, for ``s("x_sl").n("0 3 2 7")``.

``python -P -m bridge.audio.analysis.slicing MASTER FOLDER ID``: a process of its own, since finding attacks takes
scipy, which the server does not load.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bridge.audio.files import codecs
from bridge.audio.finishing.slices import cuts
from bridge.plugins.clip import Clip

MOST = 16
"""Slices of one sound."""
_FADE_SECONDS = 0.003
_LOUDNESS_SECONDS = 0.02
_CLEARLY, _LEAST_RISE = 1.2, 1e-9
"""An attack is louder than what was before it by a fifth (power), or it is none."""


def slices(clip: Clip, most: int = MOST) -> list[tuple[int, Clip]]:
    """Cut ``clip`` before its attacks, each piece faded out over 3 ms: (frame at which it begins, piece).

    The first begins with the clip. Of more than ``most`` pieces those with the clearest attacks begin one; the others
    stay part of the piece before. Levels are left as they are, so that slices in their order are the clip again.
    """
    at = [frame for frame in cuts(clip) if _rise(clip, frame) > _LEAST_RISE]
    if len(at) >= most:
        clearest = sorted(at, key=lambda frame: -_rise(clip, frame))[: most - 1]
        at = sorted(clearest)
    edges = [0, *at, clip.frames]
    pieces = []
    for first, last in pairwise(edges):
        samples = clip.samples[:, first:last].copy()
        fade = min(round(_FADE_SECONDS * clip.rate), samples.shape[1])
        if fade:
            samples[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        pieces.append((first, Clip(samples, clip.rate)))
    return pieces


def write_slices(master: Path, folder: Path, request_id: str) -> list[dict[str, Any]]:
    """Cut a master file and write masters and WAV files of its slices; answer what they are as JSON values."""
    pcm, rate = codecs.read_pcm(master)
    clip = Clip((pcm.T / 2.0**31).astype(np.float32), rate)
    written = []
    for number, (start, piece) in enumerate(slices(clip)):
        cut = codecs.to_pcm(piece)
        sample_id = codecs.sample_id(cut, rate)
        stem = folder / f"{sample_id}-{request_id}-{number}"
        file, wav = stem.with_suffix(".master.wav"), stem.with_suffix(".wav")
        codecs.write_master(file, cut, rate)
        wav.write_bytes(codecs.encode(cut, rate, "wav", sample_id))
        written.append(
            {
                "sample_id": sample_id,
                "master": str(file),
                "wav": str(wav),
                "rate": rate,
                "channels": piece.channels,
                "frames": piece.frames,
                "start_s": round(start / rate, 6),
            }
        )
    return written


def _rise(clip: Clip, frame: int) -> float:
    """How much louder it is in the 20 ms after a frame than in those before: amount by ratio, 0 where it is softer."""
    size = round(_LOUDNESS_SECONDS * clip.rate)
    after = np.square(clip.samples[:, frame : frame + size], dtype=np.float64).mean()
    before = np.square(clip.samples[:, max(0, frame - size) : frame], dtype=np.float64).mean()
    return float(max(0.0, after - before) * (after / (before + 1e-9)) ** 0.25) if after > _CLEARLY * before else 0.0


if __name__ == "__main__":
    os.umask(0o077)  # what it writes is its user's alone
    sys.stdout.write(json.dumps(write_slices(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))

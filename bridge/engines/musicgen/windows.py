"""Longer than the model's window: each further window continues the end of the one before.

MusicGen was trained on 30 s (Copet et al. 2023, section 3.1). What is longer is made in windows: the last codes of one
are the prompt of the next, so that the codes, and so the audio, continue without a seam. The overlap is a trade: a
longer one remembers more of the music and makes less new in each window (audiocraft's ``extend_stride`` 18 s of 30).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bridge.engines.musicgen.decoder import Codes

OVERLAP_SECONDS: Final = 10.0
"""How much of a window is the end of the one before; never more than half of it."""


@dataclass(frozen=True, slots=True)
class Window:
    """One run of the decoder."""

    number: int
    prompt: int
    """Frames that it begins with, taken from what is there."""
    new: int
    """Frames that it makes."""


class Make(Protocol):
    """Makes the frames of one window: ``Batch.generate`` with all but these arguments bound."""

    def __call__(
        self, number: int, frames: int, prompt: Codes | None, report: Callable[[float], None], /
    ) -> Generator[Codes, None, None]:
        """Yield ``frames`` new frames after ``prompt`` (P, K) in pieces (n, K)."""
        ...


def windows(frames: int, prompt: int, window: int, overlap: int) -> Iterator[Window]:
    """Cut ``frames`` new frames after a prompt of ``prompt`` into windows of at most ``window`` frames, prompt counted.

    A given prompt longer than ``overlap`` counts with its last ``overlap`` frames only when it would not leave room for
    half a window. ``overlap`` is at most half of ``window``.
    """
    if not 0 <= 2 * overlap <= window or window < 1:
        raise ValueError(f"an overlap of {overlap} frames is more than half of a window of {window}")
    number, there = 0, min(prompt, window - max(1, window // 2))
    while frames > 0:
        new = min(frames, window - there)
        yield Window(number, there, new)
        frames -= new
        number += 1
        there = overlap


def generate(
    make: Make, frames: int, prompt: Codes | None, window: int, overlap: int, report: Callable[[float], None]
) -> Generator[Codes, None, None]:
    """Yield ``frames`` new frames, in pieces (n, K), whatever the window; ``report`` hears the progress of all."""
    plan = list(windows(frames, 0 if prompt is None else len(prompt), window, overlap))
    before, made = prompt, 0
    for each in plan:
        new: list[Codes] = []
        share = _share(report, made / frames, each.new / frames)
        pieces = make(each.number, each.new, _last(before, each.prompt), share)
        try:
            for piece in pieces:
                new.append(piece)
                yield piece
        finally:
            pieces.close()
        made += each.new
        before = np.concatenate([*([] if before is None else [before[-window:]]), *new])


def _last(codes: Codes | None, count: int) -> Codes | None:
    return codes[len(codes) - count :] if codes is not None and count else None


def _share(report: Callable[[float], None], begins: float, share: float) -> Callable[[float], None]:
    return lambda fraction: report(min(1.0, begins + share * fraction))

"""A picture of all procedural instruments, docs/instruments.png: waveform, and spectrogram from 40 Hz to 16 kHz.

Each cell is as long as its sound, so many tenths of a second as stand beside its name; level by colour over 70 dB.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from bridge.engines.procedural import ProceduralEngine
from bridge.engines.procedural.instruments import TABLE
from tests.benchmarks._features import RATE, Samples
from tests.benchmarks._figure import Figure
from tests.benchmarks._png import Image, write_png, write_text
from tests.benchmarks.instruments import spec_of

PICTURE = Path(__file__).parents[2] / "docs" / "instruments.png"
COLUMNS = 9
CELL = (116, 164)
"""Rows and columns of a cell."""
WAVE, BANDS, WIDTH = 26, 64, 156
STEPS = 20
"""Colours of the spectrogram; fewer make a smaller file."""
PAPER, INK, LINE = 254, 255, 253


def palette() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """From night blue over red to pale yellow; then the colours of the sheet."""
    at = np.linspace(0, 1, STEPS)
    colours = np.zeros((256, 3))
    stops = np.array([[12, 12, 36], [70, 20, 100], [170, 40, 90], [240, 110, 50], [252, 230, 140]])
    for i in range(3):
        colours[:STEPS, i] = np.interp(at, np.linspace(0, 1, len(stops)), stops[:, i])
    colours[PAPER], colours[INK], colours[LINE] = (250, 250, 246), (30, 30, 40), (60, 90, 140)
    return colours.astype(np.uint8)


def waveform(x: Samples) -> Image:
    """(WAVE, WIDTH): from the least to the greatest of each column."""
    m = x.mean(axis=0)
    bounds = np.linspace(0, len(m), WIDTH + 1).astype(int)
    image = np.full((WAVE, WIDTH), PAPER, np.uint8)
    for column, (start, stop) in enumerate(itertools.pairwise(bounds)):
        piece = m[start : max(stop, start + 1)]
        top, bottom = (round((1 - float(v)) * (WAVE - 1) / 2) for v in (piece.max(), piece.min()))
        image[top : bottom + 1, column] = LINE
    return image


def spectrogram(x: Samples) -> Image:
    """(BANDS, WIDTH): level of bands spaced by their ratio, 70 dB under the loudest and up."""
    m = x.mean(axis=0, dtype=np.float64)
    size = 2048 if len(m) > 20_000 else 1024
    m = np.concatenate([np.zeros(size // 2), m, np.zeros(size)])
    starts = np.linspace(0, len(m) - 1.5 * size, WIDTH).astype(int)
    pieces = m[starts[:, np.newaxis] + np.arange(size)] * np.hanning(size)
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    edges = np.geomspace(40, 16_000, BANDS + 1) * size / RATE
    image = np.zeros((BANDS, WIDTH))
    for band in range(BANDS):
        low, high = int(edges[band]), max(int(edges[band]) + 1, int(edges[band + 1]))
        image[BANDS - 1 - band] = power[:, low:high].max(axis=1)
    level = 10 * np.log10(image / image.max() + 1e-9)
    return np.clip((level + 70) / 70 * (STEPS - 1), 0, STEPS - 1).astype(np.uint8)


def draw() -> Image:
    """The whole sheet."""
    engine = ProceduralEngine()
    rows = -(-len(TABLE) // COLUMNS)
    sheet = np.full((rows * CELL[0] + 4, COLUMNS * CELL[1] + 4), PAPER, np.uint8)
    for i, name in enumerate(TABLE):
        spec = spec_of(name, 1)
        (clip,) = engine.stream(spec, spec.seconds, lambda _: None)
        top, left = 4 + i // COLUMNS * CELL[0], 4 + i % COLUMNS * CELL[1]
        write_text(sheet, top, left, f"{name[:15]} {clip.seconds:.1f}", INK)
        sheet[top + 13 : top + 13 + WAVE, left : left + WIDTH] = waveform(clip.samples)
        sheet[top + 14 + WAVE : top + 14 + WAVE + BANDS, left : left + WIDTH] = spectrogram(clip.samples)
    return sheet


async def measure() -> dict[str, Figure]:
    """Draw it and say how large the file is."""
    write_png(PICTURE, draw(), palette())
    return {"docs/instruments.png": Figure(PICTURE.stat().st_size / 1e6, "MB", 1.0, note=f"{len(TABLE)} instruments")}

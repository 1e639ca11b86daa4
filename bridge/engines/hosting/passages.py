"""Passages of a stream that never ends: rendered one by one in the engine's process, each faded into the one before.

A passage knows nothing of its stream: what it is to continue comes with the request (``tail``), so a stream survives
the end of a process, and two listeners to one stream share one rendering.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from prompts import Kind, SampleSpec

if TYPE_CHECKING:  # the server writes down what it wants, and gets by without numpy
    import numpy as np
    import numpy.typing as npt

    from bridge.plugins.clip import Clip, Samples
    from bridge.plugins.engine import Engine, Report

    Pcm: TypeAlias = npt.NDArray[np.int16]

_PEAK = 0.89
_LOUDNESS = 0.16
"""RMS that passages are brought to, as far as their peaks allow: what follows is as loud as what was before."""
_SILENT = 1e-5
_BEGIN_SECONDS, _END_SECONDS = 0.002, 0.02
"""Fades at the two ends of a stream."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What is wanted of one passage; crosses the process border as JSON, the tail next to it as bytes."""

    seconds: float
    """How far it goes; ``overlap`` more follow, into which the next one is faded."""
    overlap: float
    skip: float = 0.0
    """Seconds at its beginning that a listener has heard already."""
    ends: bool = False
    """True: nothing follows, so nothing overlaps, and it is faded out."""
    channels: int | None = None
    """1 or 2; None: as the engine makes it."""
    tail_rate: int = 0
    tail_channels: int = 0
    context: int = 0
    """Bytes in front of the tail, in its shape, that were heard before the passage begins: an engine that can goes on
    from them, so that the next passage is the same music."""
    urgent: bool = False
    """True: silence lasts until it is there. Other work of the process pauses for it."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def render(
    engine: Engine, spec: SampleSpec, passage: Passage, tail: bytes, report: Report
) -> Iterator[tuple[int, Pcm]]:
    """Yield a passage in pieces, (rate, PCM of shape (frames, channels)), as they come from the engine.

    ``tail``: 16-bit PCM of what plays on where the passage begins; they change places with equal power. Raises what the
    engine raises, and BadAudio for NaN and silence.
    """
    import numpy as np

    from bridge.audio.channels import with_channels
    from bridge.errors import BadAudio

    at, loudest = 0, 0.0
    before: Samples | None = None
    for rate, samples, last in _pieces(engine, spec, passage, report):
        if not np.isfinite(samples).all():
            raise BadAudio(f"Engine '{engine.info.name}' made something that is not sound (NaN). Ask again.")
        piece = with_channels(samples, passage.channels or samples.shape[0])
        loudest = max(loudest, float(np.abs(piece).max(initial=0.0)))
        if before is None:
            before = _tail(tail, passage, rate, piece.shape[0])
        piece = _joined(piece, at, before, rate)
        if last and passage.ends:
            piece = _faded_out(piece, rate)
        at += piece.shape[1]
        yield rate, np.round(np.clip(piece, -1.0, 1.0) * 32767.0).astype("<i2").T
    if loudest < _SILENT:
        raise BadAudio(f"Engine '{engine.info.name}' made silence from these words. Try others.")


def heard_before(passage: Passage, tail: bytes) -> Clip | None:
    """Take what was heard before the passage out of what comes with it; None when it is to continue from nothing."""
    import numpy as np

    from bridge.plugins.clip import Clip

    if not passage.context or not passage.tail_channels:
        return None
    samples = np.frombuffer(tail[: passage.context], dtype="<i2").reshape(-1, passage.tail_channels).T
    return Clip(np.ascontiguousarray(samples, dtype=np.float32) / np.float32(32767.0), passage.tail_rate)


def _pieces(engine: Engine, spec: SampleSpec, passage: Passage, report: Report) -> Iterator[tuple[int, Samples, bool]]:
    """Yield (rate, samples, is it the last) of exactly what is wanted."""
    import numpy as np

    from bridge.plugins.clip import Clip

    info = engine.info
    wanted = passage.seconds + (0.0 if passage.ends else passage.overlap)
    if info.exact_loops and spec.kind in {Kind.LOOP, Kind.TEXTURE}:
        # It goes round: what follows its end is its beginning.
        clip = Clip.join(list(engine.stream(spec, spec.seconds, report)))
        clip = clip if info.streams else Clip(_levelled(clip.samples), clip.rate)
        places = np.arange(round(wanted * clip.rate)) + round(passage.skip * clip.rate)
        yield clip.rate, clip.samples[:, places % clip.frames], True
        return
    skip = left = -1
    held: tuple[int, Samples] | None = None
    for clip in engine.stream(spec, min(passage.skip + wanted, info.max_seconds), report):
        if skip < 0:
            skip, left = round(passage.skip * clip.rate), round(wanted * clip.rate)
        samples = (clip.samples if info.streams else _levelled(clip.samples))[:, skip:]
        skip = max(0, skip - clip.frames)
        samples = samples[:, :left]
        left -= samples.shape[1]
        if samples.shape[1]:
            if held is not None:
                yield *held, False
            held = clip.rate, samples
    if held is not None:
        yield *held, True


def _levelled(samples: Samples) -> Samples:
    import numpy as np

    peak = float(np.abs(samples).max(initial=0.0))
    if not peak > _SILENT:
        return samples
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return samples * np.float32(min(_LOUDNESS / rms, _PEAK / peak))


def _tail(tail: bytes, passage: Passage, rate: int, channels: int) -> Samples:
    """What plays on, as the passage is: (channels, frames)."""
    import numpy as np

    from bridge.audio.channels import with_channels

    if not tail or not passage.tail_channels:
        return np.zeros((channels, 0), dtype=np.float32)
    samples = np.frombuffer(tail, dtype="<i2").reshape(-1, passage.tail_channels).T.astype(np.float32) / 32767.0
    if passage.tail_rate != rate:
        from bridge.audio.finishing.resample import resample
        from bridge.plugins.clip import Clip

        samples = resample(Clip(np.ascontiguousarray(samples), passage.tail_rate), rate).samples
    return with_channels(samples, channels)


def _joined(piece: Samples, at: int, before: Samples, rate: int) -> Samples:
    """Fade what lies within ``before`` in, and ``before`` out; ``at``: frames of the passage before this piece."""
    import numpy as np

    length = before.shape[1] or max(1, round(_BEGIN_SECONDS * rate))
    count = min(length - at, piece.shape[1])
    if count <= 0:
        return piece
    angle = ((np.arange(at, at + count) + 0.5) / length * (np.pi / 2)).astype(np.float32)
    changed = piece.copy()
    changed[:, :count] *= np.sin(angle)
    if before.shape[1]:
        changed[:, :count] += before[:, at : at + count] * np.cos(angle)
    return changed


def _faded_out(piece: Samples, rate: int) -> Samples:
    import numpy as np

    count = min(max(1, round(_END_SECONDS * rate)), piece.shape[1])
    changed = piece.copy()
    changed[:, -count:] *= np.linspace(1.0, 0.0, count, dtype=np.float32)
    return changed

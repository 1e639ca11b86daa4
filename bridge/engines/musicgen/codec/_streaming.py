"""Decoding codes as they come, so that the pieces together are the same as the whole decoded at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bridge.engines.musicgen.codec._layers import DecoderLayers, Layers, read_layers
from bridge.engines.musicgen.codec._native_layers import native_layers
from bridge.engines.musicgen.codec._together import Together
from bridge.engines.musicgen.codec._torch_layers import TorchLayers
from bridge.engines.musicgen.codec._track import Track
from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder.interface import Codes, Floats
from bridge.errors import EngineError

log = logging.getLogger(__name__)


class StreamingCodec:
    """EnCodec with one set of weights for any number of sounds at once.

    Its decoder looks ahead: the first convolution by 3 codes, the levels by 1. So audio is final up to 4 codes (80 ms)
    before the last code. Between pieces a sound keeps the state of its LSTM and a few rows, never all of its codes.
    """

    def __init__(
        self,
        model: Any,
        precision: str = "float32",
        *,
        channels: int = 1,
        threads: int | None = None,
        load_encoder: Callable[[], Any] | None = None,
        keep: Path | None = None,
        core_lock: CoreLock | None = None,
    ) -> None:
        """Take the decoder out of ``model``, transformers' EncodecModel; it runs on its device.

        ``precision``: "float32", or "bfloat16", which is quicker and whose error is 44 dB below the music; a processor
        without bfloat16 computes in float32. ``channels``: 1, or 2 for a stereo MusicGen, whose codes of left and
        right alternate. ``threads``: of the kernel; None leaves a core free where there are more than two.
        ``load_encoder`` returns an EncodecModel with an encoder; ``model`` is not kept then, and need not have one.
        ``keep``: a folder for the compiled kernel, where the package's own cannot be written. ``core_lock`` is held
        during each computation.
        """
        if precision not in {"float32", "bfloat16"}:
            raise ValueError(f"precision is float32 or bfloat16, not {precision!r}")
        layers = read_layers(model)
        self.rate = int(model.config.sampling_rate)
        self.hop = layers.sizes().hop
        self.channels = channels
        self._tables: Floats = np.stack(
            [layer.codebook.embed.float().cpu().numpy() for layer in model.quantizer.layers]
        )
        self._sizes = layers.sizes()
        self._together = Together(
            _choose(layers, next(model.decoder.parameters()).device, precision, threads=threads, keep=keep), core_lock
        )
        self._core_lock = core_lock or CoreLock()
        self._load_encoder = load_encoder or (lambda: model)

    @property
    def codebooks(self) -> int:
        """Codes per frame, over all channels."""
        return len(self._tables) * self.channels

    @property
    def description(self) -> str:
        """What computes, and its precision."""
        return self._together.description

    def decoding(self) -> CodecStream:
        """Begin a sound. A stream is for one thread; different streams may be used by different threads."""
        tracks = [Track(self._sizes) for _ in range(self.channels)]
        return CodecStream(self._together, self._tables, tracks)

    def encode(self, audio: Floats) -> Codes:
        """Turn audio (channels, frames) at ``rate`` into codes (n, K), n = frames / hop rounded up."""
        if audio.ndim != 2 or audio.shape[0] != self.channels or audio.shape[1] == 0:
            raise EngineError(
                f"the sound to continue has the shape {audio.shape}: send {self.channels} channel(s) of it"
            )
        model = self._load_encoder()
        device = next(model.encoder.parameters()).device
        with self._core_lock, torch.inference_mode():
            tracks = torch.from_numpy(np.ascontiguousarray(audio, np.float32)).to(device)[:, None, None]
            codes = [model.encode(track).audio_codes[0, 0].T for track in tracks]
        return np.ascontiguousarray(torch.stack(codes, dim=2).flatten(1).cpu().numpy().astype(np.int32))


class CodecStream:
    """One sound that is decoded as its codes come."""

    def __init__(self, together: Together, tables: Floats, tracks: list[Track]) -> None:
        """``tables`` (codebooks of a channel, vocabulary, width): the embedding of each code."""
        self._together = together
        self._tables = tables
        self._tracks = tracks
        self._finished = False

    def push(self, codes: Codes) -> Floats:
        """Add the next codes (n, K), and return the audio that is final by now: (channels, frames), maybe no frames."""
        if self._finished:
            raise RuntimeError("this stream has been finished: start another one")
        codebooks, vocabulary = len(self._tracks) * len(self._tables), self._tables.shape[1]
        if codes.ndim != 2 or codes.shape[1] != codebooks:
            raise EngineError(f"codes have the shape {codes.shape}, and the codec takes (n, {codebooks})")
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < vocabulary:
            raise EngineError(f"codes lie outside of 0..{vocabulary - 1}: try another seed, or another model")
        for channel, track in enumerate(self._tracks):
            track.add(self._embed(codes[:, channel :: len(self._tracks)]))
        return self._settled(ended=False)

    def finish(self) -> Floats:
        """Return the rest, (channels, frames): all pieces together have codes * hop frames. Ends the stream."""
        self._finished = True
        return self._settled(ended=True)

    def _embed(self, codes: Codes) -> Floats:
        rows = np.zeros((codes.shape[0], self._tables.shape[2]), np.float32)
        for table, column in zip(self._tables, codes.T, strict=True):
            rows += table[column]
        return rows

    def _settled(self, *, ended: bool) -> Floats:
        first = self._tracks[0]  # all tracks have the same length
        pieces = [np.zeros((len(self._tracks), 0), np.float32)]
        while first.ready(ended=ended):
            pieces.append(np.stack(self._together.decode(self._tracks, last=ended and first.is_last())))
        return np.concatenate(pieces, axis=1)


def _choose(
    layers: DecoderLayers, device: torch.device, precision: str, *, threads: int | None, keep: Path | None
) -> Layers:
    """Choose what computes: the kernel on a CPU that supports it, else torch."""
    if device.type == "cpu":
        native = native_layers(layers, precision, threads=threads, keep=keep)
        if not isinstance(native, str):
            return native
        log.warning("the codec runs in torch, at half the speed: %s", native)
    dtype = torch.bfloat16 if precision == "bfloat16" and _multiplies_bfloat16(device) else torch.float32
    return TorchLayers(layers, device, dtype)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - torch has no public name for it

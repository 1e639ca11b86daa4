"""The engine ``musicgen``: words to codes by our own decoder, codes to audio as they come."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from bridge.engines.musicgen import speed
from bridge.engines.musicgen.batching import Conditioning, Sampling
from bridge.engines.musicgen.checkpoint import Checkpoint, open_checkpoint
from bridge.engines.musicgen.chroma import follows_melody
from bridge.engines.musicgen.codec import StreamingCodec
from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder import Codes, Decoder
from bridge.engines.musicgen.decoders import Decoders
from bridge.engines.musicgen.licences import licence_of
from bridge.engines.musicgen.loading import pick_device
from bridge.engines.musicgen.memory import Places
from bridge.engines.musicgen.models import ModelRef
from bridge.engines.musicgen.modes import MODES, mode_of
from bridge.engines.musicgen.picking import is_out_of_memory, loads_beside, usual_precision
from bridge.engines.musicgen.sources import as_prompt, as_tune
from bridge.engines.musicgen.speed import Speed
from bridge.engines.musicgen.text import PromptEncoder
from bridge.engines.musicgen.weights import revision
from bridge.engines.musicgen.windows import OVERLAP_SECONDS, generate
from bridge.errors import BadAudio, EngineError, EngineUnavailable
from bridge.plugins.clip import Clip, Samples
from bridge.plugins.engine import EngineInfo, Report, in_background
from bridge.plugins.spec import Spec
from prompts import Kind, SampleSpec, SourceUse

log = logging.getLogger(__name__)

RECIPE: Final = "own-3"
"""Goes up when the same weights and spec would give other audio."""
WINDOW_SECONDS: Final = 30.0
"""Longest music MusicGen was trained on (Copet et al. 2023, section 3.1)."""
LONGEST_SECONDS: Final = 120.0
NATURAL_SECONDS: Final = {Kind.ONESHOT: 3.0, Kind.PITCHED: 4.0}
"""Seconds made when a spec leaves the length to the instrument; the finishing cuts where the sound has rung out."""
OTHER_SECONDS: Final = 8.0
FIRST_SECONDS: Final = 0.5
"""Length of the first piece: it can be played as soon as it is there."""
PIECE_SECONDS: Final = 1.0
"""Length of the other pieces: the codec is quicker with longer ones."""

_LOOK_AHEAD = 4  # frames by which the codec's audio is behind its codes
_PREFIX_STEPS = 235 + 512  # the prefix of melody models: a tune of 30 s and the words
_CODEC_SHARE = 0.02  # of the work, when the last code is drawn
_CODEC_CONTEXT = 50  # frames of a prompt that the codec decodes first, so that the new audio continues them
_MEASURED_SECONDS = 3.0  # of sound, at most as long of time
_WORTH_KEEPING = 4.0  # seconds of sound from which a speed says something
_MEMORY_FULL = (
    "the memory is full even with one sound at a time: ask for a shorter sound, close what else uses it, or choose a "
    "smaller model with BRIDGE_MODEL=small"
)


class OwnEngine:
    """A loaded MusicGen for as many requests at a time as fit into memory; see ``info``."""

    def __init__(self, ref: ModelRef, folder: Path, device: str, precision: str, data_dir: Path | None) -> None:
        """Load the weights in ``folder``.

        ``device``: "auto", "cpu" or "cuda". ``precision``: the setting of that name. ``data_dir``: where quantised
        weights and measured speeds are kept. Raises EngineUnavailable.
        """
        device = pick_device(device)
        usual = usual_precision(precision, device)
        checkpoint = open_checkpoint(folder, ref.adapter)
        self._checkpoint = checkpoint
        self._device = device
        self._usual = usual
        per_second = checkpoint.rate / checkpoint.hop
        positions = checkpoint.decoder_weights().shape.positions
        fits = positions - checkpoint.delay - 1
        self._window = min(int(WINDOW_SECONDS * per_second), fits)
        self._first_frames = round(FIRST_SECONDS * per_second) + _LOOK_AHEAD
        self._overlap = min(int(OVERLAP_SECONDS * per_second), self._window // 2)
        steps = self._window + checkpoint.delay + 1 + (_PREFIX_STEPS if checkpoint.melody else 0)
        keep = None if data_dir is None else data_dir / "musicgen"
        core_lock = CoreLock() if device == "cpu" else None
        self._decoders = Decoders(checkpoint, device, steps, keep, self._tried, core_lock)
        with ThreadPoolExecutor(1) as beside:
            # weights are read from the disk while transformers is imported; a melody model needs the text encoder to be
            # tried, so it is loaded later
            apart = not checkpoint.melody and loads_beside(usual, device, keep)
            loading = beside.submit(self._decoders.of, usual) if apart else None
            text_type = "float32" if usual == "float32" else None
            self._text = PromptEncoder(checkpoint, device=device, dtype=text_type, core_lock=core_lock)
            codec_precision = "float32" if usual == "float32" else "bfloat16"
            self._codec = open_codec(checkpoint, device, codec_precision, keep, core_lock)
            first = loading.result() if loading else self._decoders.of(usual)
        self._places = Places(first.rows // 2)
        self._busy = 0
        self._lock = threading.Lock()
        self._data_dir = data_dir
        self._weights = revision(folder)
        content = self._weights if ref.adapter is None else checkpoint.digest[:12]
        licence = licence_of(ref, folder)
        conditions: tuple[SourceUse, ...] = ("melody", "continuation") if checkpoint.melody else ("continuation",)
        self._info = EngineInfo(
            name="musicgen",
            # other numbers on another device, in another type or out of another kernel: other codes are drawn
            revision=f"{RECIPE}:{content}:{first.mark}:{_mark(self._codec.description)}",
            rate=checkpoint.rate,
            channels=checkpoint.channels,
            max_seconds=LONGEST_SECONDS,
            streams=True,
            concurrency=first.rows // 2,
            instant=False,
            generative_model=True,
            licence=licence.name,
            commercial=licence.commercial,
            model=ref.name,
            device=device,
            conditions=conditions,
            qualities=MODES,
            takes=True,
            precision=first.description["precision"],
            kernel=first.description["kernel"],
            speed=self._known_speed(first.description),
        )
        log.info("%s is loaded. %s The codec: %s.", ref.name, first.why, self._codec.description)

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: Spec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the clip in pieces: half a second first, then a second each; exactly as long as wanted.

        Raises EngineError, BadAudio; JobCancelled out of ``report``, within a step.
        """
        return self._stream(spec, seconds, report, None)

    def stream_from(self, spec: Spec, seconds: float | None, report: Report, source: Clip) -> Iterator[Clip]:
        """Yield a clip that continues ``source``, or follows its melody; see ``ConditionedEngine``."""
        return self._stream(spec, seconds, report, source)

    def close(self) -> None:
        """End the decoders' threads and free their memory."""
        self._decoders.close()

    def _tried(self, decoder: Decoder) -> None:
        """Refuse a melody model whose tunes do not reach its scores."""
        if self._checkpoint.melody and not follows_melody(self._text, decoder):
            raise EngineUnavailable(
                f"two tunes give the same scores in {self._checkpoint.folder}, so its melodies are lost: download or "
                "copy the model again, or set BRIDGE_MODEL=medium"
            )

    def _stream(
        self, spec: Spec, seconds: float | None, report: Report, source: Clip | None
    ) -> Generator[Clip, None, None]:
        wanted = seconds if seconds is not None else NATURAL_SECONDS.get(Kind(spec.kind or Kind.RAW), OTHER_SECONDS)
        if wanted > LONGEST_SECONDS:
            raise EngineError(
                f"MusicGen makes at most {LONGEST_SECONDS:g} seconds at once and this sound is {wanted:g} seconds "
                "long: ask for a shorter duration or fewer bars",
                field="duration",
                max_seconds=LONGEST_SECONDS,
            )
        report(0.0)
        while True:
            sent = False
            try:
                with self._places.taken(lambda: report(0.0)):
                    for piece in self._timed(spec, wanted, report, source):
                        sent = True
                        yield piece
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                left = self._places.halve()
                if sent or not left:
                    raise EngineError(_MEMORY_FULL) from error
                log.warning("the memory is full: from now on %d sounds at a time", left)
            else:
                report(1.0)
                return

    def _timed(self, spec: Spec, seconds: float, report: Report, source: Clip | None) -> Generator[Clip, None, None]:
        """Yield the pieces, and measure the speed of this machine with a sound that is made alone."""
        started = time.monotonic()
        with self._lock:
            self._busy += 1
            alone = self._busy == 1
        try:
            for piece in self._pieces(spec, seconds, report, source):
                yield piece
                alone = alone and self._busy == 1
        finally:
            with self._lock:
                self._busy -= 1
        usual = spec.quality_mode == "balanced" and source is None and spec.guidance > 1 and not in_background.get()
        if alone and usual and seconds >= _WORTH_KEEPING:
            self._keep_speed(
                seconds / max(time.monotonic() - started, 1e-3), self._decoders.of(self._usual).description
            )

    def _pieces(self, spec: Spec, seconds: float, report: Report, source: Clip | None) -> Generator[Clip, None, None]:
        rate = self._checkpoint.rate
        # the rounding keeps 0.1 s * 32000 = 3200.0000000000005 from being a frame more
        left = math.ceil(round(seconds * rate, 6))
        frames = math.ceil(left / self._checkpoint.hop)
        prompt = self._prompt(spec, source)
        with closing(self._codes(spec, frames, prompt, report, source)) as codes:
            for samples in self._decoded(codes, prompt):
                if not np.isfinite(samples).all():
                    raise BadAudio("MusicGen's numbers overflowed and gave no sound: lower guidance, or use the CPU")
                samples = samples[:, :left]
                left -= samples.shape[1]
                if samples.shape[1]:
                    yield Clip(np.ascontiguousarray(samples), rate)

    def _prompt(self, spec: Spec, source: Clip | None) -> Codes | None:
        """Turn the audio that the sound continues into codes (P, K)."""
        if source is None or spec.source_as != "continuation":
            return None
        return as_prompt(source, self._codec, self._overlap * self._checkpoint.hop)

    def _conditioning(self, spec: Spec, source: Clip | None, begins: float) -> Conditioning:
        """Return the conditioning of a window that begins at second ``begins``."""
        if source is None or spec.source_as != "melody":
            return self._text.conditioning(spec.prompt)
        return self._text.conditioning(spec.prompt, as_tune(source, begins))

    def _codes(
        self, spec: Spec, frames: int, prompt: Codes | None, report: Report, source: Clip | None
    ) -> Generator[Codes, None, None]:
        mode = mode_of(spec.quality_mode, self._usual, self._device)
        batch = self._decoders.of(mode.precision).batch
        sampling = Sampling(
            temperature=spec.temperature,
            top_k=spec.top_k,
            top_p=spec.top_p,
            guidance=spec.guidance if mode.guided else 1.0,
            repetition_penalty=spec.repetition_penalty,
        )
        per_second = self._checkpoint.rate / self._checkpoint.hop
        background = in_background.get()
        made = 0

        def window(number: int, new: int, before: Codes | None, window_report: Report) -> Generator[Codes, None, None]:
            nonlocal made
            begins = (made - (len(before) if before is not None and number else 0)) / per_second
            stream = batch.generate(
                self._conditioning(spec, source, begins),
                # each window draws numbers of its own; seeds are below 2**64
                replace(sampling, seed=(spec.seed or 0) + (number << 64)),
                new,
                prompt=before,
                background=background,
                awaited=0 if number else self._first_frames,
                report=window_report,
            )
            try:
                for piece in stream:
                    made += len(piece)
                    yield piece
            finally:
                stream.close()

        def share(fraction: float) -> None:
            report((1.0 - _CODEC_SHARE) * fraction)

        yield from generate(window, frames, prompt, self._window, self._overlap, share)

    def _decoded(self, codes: Iterator[Codes], prompt: Codes | None) -> Generator[Samples, None, None]:
        """Decode codes as they come, in pieces of the same lengths however slowly they are read."""
        stream = self._codec.decoding()
        per_second = self._checkpoint.rate / self._checkpoint.hop
        waiting = np.zeros((0, self._codec.codebooks), np.int32) if prompt is None else prompt[-_CODEC_CONTEXT:]
        to_skip = len(waiting) * self._checkpoint.hop
        enough = len(waiting) + self._first_frames

        def decoded(samples: Samples) -> Samples:
            nonlocal to_skip
            skipped, to_skip = min(to_skip, samples.shape[1]), max(0, to_skip - samples.shape[1])
            return samples[:, skipped:]

        for piece in codes:
            waiting = np.concatenate([waiting, piece])
            while len(waiting) >= enough:
                yield decoded(stream.push(waiting[:enough]))
                waiting, enough = waiting[enough:], round(PIECE_SECONDS * per_second)
        last = stream.push(waiting) if len(waiting) else np.zeros((self._codec.channels, 0), np.float32)
        yield decoded(np.concatenate([last, stream.finish()], axis=1))

    def _known_speed(self, description: dict[str, str]) -> float | None:
        """How fast it is: what was kept, else what a short sound takes now, which is kept."""
        if self._data_dir is None:
            return None
        known = speed.kept(self._data_dir, self._weights)
        if known and (known.precision, known.kernel) == (description["precision"], description["kernel"]):
            return round(known.factor, 2)
        log.info("measuring how fast MusicGen is here")
        spec = SampleSpec(prompt="warm pad", kind=Kind.RAW, seed=0)
        started, made = time.monotonic(), 0.0
        for piece in self._pieces(spec, _MEASURED_SECONDS, lambda _: None, None):
            made += piece.seconds
            if time.monotonic() - started > _MEASURED_SECONDS:
                break
        factor = made / max(time.monotonic() - started, 1e-3)
        self._keep_speed(factor, description)
        return round(factor, 2)

    def _keep_speed(self, factor: float, description: dict[str, str]) -> None:
        if self._data_dir is not None:
            measured = Speed(round(factor, 3), self._device, description["precision"], description["kernel"])
            speed.keep(self._data_dir, self._weights, measured)


def _mark(description: str) -> str:
    return description.replace(",", "").replace(" ", "_")


def open_codec(
    checkpoint: Checkpoint,
    device: str,
    precision: str,
    keep: Path | None,
    core_lock: CoreLock | None = None,
) -> StreamingCodec:
    """Take the decoding half of a checkpoint's codec; the other half is read when audio is to be continued.

    ``precision``: "float32", or "bfloat16", whose error lies 44 dB below the music. ``keep``: folder for its
    kernel, where the package came without. ``core_lock``: see ``StreamingCodec``.
    """

    @functools.cache
    def whole() -> object:
        return checkpoint.codec().to(device)

    return StreamingCodec(
        checkpoint.codec().to(device),
        precision,
        channels=checkpoint.channels,
        load_encoder=whole,
        keep=keep,
        core_lock=core_lock,
    )

"""MusicGen by transformers' own ``generate()``: the reference, correct before it is quick."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bridge.audio.clip import Clip
from bridge.engines._base import EngineInfo, Report
from bridge.engines.musicgen.licences import licence_of
from bridge.engines.musicgen.loading import load, pick_device, quiet
from bridge.engines.musicgen.models import ModelRef
from bridge.engines.musicgen.sampling import AfterGuidance, RepetitionPenalty, Watch, generation_options
from bridge.engines.musicgen.weights import revision
from bridge.errors import BadAudio, EngineError
from prompts import Kind, SampleSpec

log = logging.getLogger(__name__)

RECIPE: Final = "transformers-1"
"""Goes up when the same weights and spec would give other audio."""
WINDOW_SECONDS: Final = 30.0
"""Longest music MusicGen was trained on (MusicGen paper, section 3.1)."""
NATURAL_SECONDS: Final = {Kind.ONESHOT: 3.0, Kind.PITCHED: 4.0}
"""Seconds made when a spec leaves the length to the instrument; the finishing cuts where the sound has rung out."""
OTHER_SECONDS: Final = 8.0

_DECODING_SHARE = 0.02  # of the work: what the codec takes after the last step, measured on a CPU
_TEXT_TOKENS = 512  # T5 was trained on as many


class TransformersEngine:
    """A loaded MusicGen. One request at a time; a second one waits."""

    def __init__(self, ref: ModelRef, folder: Path, device: str) -> None:
        """Load the weights in ``folder``; ``device``: "auto", "cpu" or "cuda". Raises EngineUnavailable."""
        self._loaded = loaded = load(folder, pick_device(device))
        self._lock = threading.Lock()
        licence = licence_of(ref, folder)
        self._info = EngineInfo(
            name="musicgen",
            # other numbers on another device or in another type: other codes are drawn
            revision=f"{RECIPE}:{revision(folder)}:{loaded.device}-{loaded.dtype}",
            rate=loaded.rate,
            channels=loaded.channels,
            max_seconds=min(WINDOW_SECONDS, (loaded.max_steps - loaded.delay - 1) * loaded.hop / loaded.rate),
            streams=False,
            concurrency=1,  # generate() draws from the process's one random stream
            instant=False,
            generative_model=True,
            licence=licence.name,
            commercial=licence.commercial,
            model=ref.name,
            device=loaded.device,
        )

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the whole clip once: whole codes, so up to 20 ms more than wanted.

        Raises EngineError for more seconds than the model's window; JobCancelled out of ``report``, within a step.
        """
        wanted = seconds if seconds is not None else NATURAL_SECONDS.get(spec.kind or Kind.RAW, OTHER_SECONDS)
        if wanted > self._info.max_seconds:
            raise EngineError(
                f"MusicGen makes at most {self._info.max_seconds:g} seconds at once and this sound is {wanted:g} "
                "seconds long: ask for a shorter duration or fewer bars",
                field="duration",
                max_seconds=self._info.max_seconds,
            )
        with self._lock:
            report(0.0)
            samples = self._generate(spec, wanted, report)
        if not np.isfinite(samples).all():
            raise BadAudio("MusicGen's numbers left their range and became no sound: lower guidance, or use the CPU")
        report(1.0)
        yield Clip(samples, self._loaded.rate)

    def _generate(self, spec: SampleSpec, seconds: float, report: Report) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the audio, (channels, frames)."""
        loaded = self._loaded
        # the rounding keeps 0.1 s * 32000 / 640 = 5.000000000000001 from being six codes
        codes = math.ceil(round(seconds * loaded.rate / loaded.hop, 6))
        steps = codes + loaded.delay
        processors = AfterGuidance()
        if spec.repetition_penalty != 1.0:
            processors.append(RepetitionPenalty(spec.repetition_penalty))
        text = loaded.tokenizer(spec.prompt, return_tensors="pt", truncation=True, max_length=_TEXT_TOKENS)
        try:
            with quiet(), seeded(spec.seed or 0, loaded.device):
                audio = loaded.model.generate(
                    input_ids=text["input_ids"].to(loaded.device),
                    attention_mask=text["attention_mask"].to(loaded.device),
                    logits_processor=processors,
                    stopping_criteria=[Watch(report, steps, share=1.0 - _DECODING_SHARE)],
                    **generation_options(spec, steps),
                )
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise EngineError(
                f"the memory of the {loaded.device} is full: ask for a shorter sound, close what else uses it, or "
                "choose a smaller model"
            ) from error
        except RuntimeError as error:
            raise EngineError(f"MusicGen could not make this sound ({str(error).splitlines()[0][:200]})") from error
        samples: np.ndarray[Any, np.dtype[np.float32]] = audio[0].float().cpu().numpy()  # (channels, frames)
        return samples


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Let the process's random numbers begin at ``seed``, and go on afterwards as if nothing had been."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield

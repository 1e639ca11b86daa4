"""MusicGen by transformers' own ``generate()``: our decoder is measured and tested against it.

Setting ``precision`` to ``reference`` chooses it. It adds progress, cancelling, and a repetition penalty that works.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import transformers

from bridge.engines.musicgen.licences import licence_of
from bridge.engines.musicgen.loading import load, pick_device, quiet
from bridge.engines.musicgen.models import ModelRef
from bridge.engines.musicgen.weights import revision
from bridge.errors import BadAudio, EngineError
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, Report
from bridge.plugins.spec import Spec
from prompts import Kind

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
COLD: Final = 1e-3
"""Below this temperature only the likeliest code is ever drawn, and the division would leave the range of floats."""


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
            takes=True,
            precision=loaded.dtype,
            kernel=f"transformers {transformers.__version__}",
        )

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: Spec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the whole clip once: whole codes, so up to 20 ms more than wanted.

        Raises EngineError for more seconds than the model's window; JobCancelled out of ``report``, within a step.
        """
        wanted = seconds if seconds is not None else NATURAL_SECONDS.get(Kind(spec.kind or Kind.RAW), OTHER_SECONDS)
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
            raise BadAudio("MusicGen's numbers overflowed and gave no sound: lower guidance, or use the CPU")
        report(1.0)
        yield Clip(samples, self._loaded.rate)

    def _generate(self, spec: Spec, seconds: float, report: Report) -> np.ndarray[Any, np.dtype[np.float32]]:
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
    """Seed the process's random numbers with ``seed``, and restore their state afterwards."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield


def generation_options(spec: Spec, steps: int) -> dict[str, Any]:
    """Return the options of ``generate()`` for a spec.

    Every option is given, also where it is off: what is left out comes from the checkpoint's generation_config.json.
    ``num_beams`` is not among them: MusicGen has no beam search, see bridge/engines/hosting/best_of.py.
    """
    return {
        "max_new_tokens": steps,
        "do_sample": spec.temperature >= COLD,
        "temperature": spec.temperature if spec.temperature >= COLD else 1.0,
        "top_k": spec.top_k,  # 0 = off
        "top_p": spec.top_p if 0 < spec.top_p < 1 else 1.0,  # transformers' off is 1
        "guidance_scale": max(spec.guidance, 1.0),  # 1 = off: no second, unconditional half of the batch
        "repetition_penalty": 1.0,  # ours instead, see RepetitionPenalty
    }


class AfterGuidance(list[Any]):
    """Processors of scores that come after the guidance.

    ``generate()`` appends its guidance to the list it is given; only behind it are there as many rows of scores as of
    codes, so here it goes to the front.
    """

    def append(self, processor: Any) -> None:
        """Put ``generate()``'s own processor first."""
        self.insert(0, processor)


@dataclass(frozen=True, slots=True)
class RepetitionPenalty:
    """Makes a code that its codebook has already used less likely: scores above 0 are divided, those below multiplied.

    The formula is that of Keskar et al. 2019 (CTRL), section 4.1, a codebook at a time. transformers' own runs before
    the guidance, penalises the conditional half of the batch only, and fails on the start code, which has no score.
    """

    penalty: float

    def __call__(self, codes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``codes``: (rows, steps), ``scores``: (rows, vocabulary); rows are batch x codebooks."""
        rows, vocabulary = scores.shape
        used = torch.zeros(rows, vocabulary + 1, dtype=torch.bool, device=scores.device)
        used.scatter_(1, codes.clamp(max=vocabulary), torch.ones_like(codes, dtype=torch.bool))
        lowered = torch.where(scores > 0, scores / self.penalty, scores * self.penalty)
        return torch.where(used[:, :vocabulary], lowered, scores)


@dataclass(frozen=True, slots=True)
class Watch:
    """Reports each step; a cancelled job's ``report`` raises, and that ends ``generate()``.

    In the place of a stopping criterion, since those are asked once a step, after the code is drawn.
    """

    report: Report
    steps: int
    share: float
    """The part of the whole work that the steps are, 0..1."""

    def __call__(self, codes: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        """``codes``: (rows, 1 + steps so far). Never asks to stop early."""
        self.report(self.share * min((codes.shape[1] - 1) / self.steps, 1.0))
        return torch.zeros(codes.shape[0], dtype=torch.bool, device=codes.device)

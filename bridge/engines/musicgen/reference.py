"""What our requests add to transformers' ``generate()``: progress, cancelling, and a repetition penalty that works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch

from bridge.engines._base import Report
from prompts import SampleSpec

COLD: Final = 1e-3
"""Below this temperature only the likeliest code is ever drawn, and the division would leave the range of floats."""


def generation_options(spec: SampleSpec, steps: int) -> dict[str, Any]:
    """Say a spec in the words of ``generate()``.

    Every option is given, also where it is off: what is left out comes from the checkpoint's generation_config.json.
    ``num_beams`` is not used: MusicGen has no beam search, and best-of-N is not there yet.
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

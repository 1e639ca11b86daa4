"""AudioLDM 2 (Liu et al. 2023, arXiv:2308.05734): sound effects and music, mono, 16 kHz."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bridge.engines.diffusion._engine import DiffusionEngine

if TYPE_CHECKING:
    from prompts import SampleSpec

_WINDOW_SECONDS: Final = 30.0
_UNWANTED: Final = "Low quality."


class AudioLdm2Engine(DiffusionEngine):
    """Best at effects and atmospheres."""

    name = "audioldm2"
    default = "cvssp/audioldm2"
    licence = "CC-BY-NC-SA-4.0"
    commercial = False
    pipelines = ("AudioLDM2Pipeline",)
    guidance = 3.5
    steps = 100

    def rate(self) -> int:
        """Hz, as the vocoder says."""
        return int(self._pipeline.vocoder.config.sampling_rate)

    def channels(self) -> int:
        """One."""
        return 1

    def longest(self) -> float:
        """Seconds; the model was trained on 10, and goes on sensibly for three times as long."""
        return _WINDOW_SECONDS

    def ask(self, spec: SampleSpec, seconds: float, generator: Any, stepped: Callable[[int, int], None]) -> Any:
        """Run the pipeline."""
        return self._pipeline(
            spec.prompt,
            audio_length_in_s=seconds,
            num_inference_steps=self.steps,
            guidance_scale=self.guided(spec),
            negative_prompt=_UNWANTED,
            generator=generator,
            callback=lambda step, *_: stepped(step + 1, self.steps),
            callback_steps=1,
        ).audios

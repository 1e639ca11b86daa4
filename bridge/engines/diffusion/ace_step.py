"""ACE-Step 1.5: whole pieces, stereo, 48 kHz, told bpm, key and meter as numbers and not in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bridge.engines.cloud.keys import spoken_key
from bridge.engines.diffusion._engine import DiffusionEngine

if TYPE_CHECKING:
    from prompts import SampleSpec

_LONGEST: Final = 120.0
_NO_WORDS: Final = "[Instrumental]"


class AceStepEngine(DiffusionEngine):
    """Made for music from 10 seconds on: what is shorter is cut from the beginning of that much."""

    name = "ace_step"
    default = "ACE-Step/acestep-v15-xl-turbo-diffusers"
    licence = "MIT"
    commercial = True
    pipelines = ("AceStepPipeline",)
    guidance = 7.0
    steps = 50
    half = "bfloat16"
    shortest = 10.0

    def rate(self) -> int:
        """Hz, as the codec says."""
        return int(self._pipeline.sample_rate)

    def channels(self) -> int:
        """Two, as the codec says."""
        return int(getattr(self._pipeline.vae.config, "audio_channels", 2))

    def longest(self) -> float:
        """As long as anything is made here; the model makes minutes."""
        return _LONGEST

    def ask(self, spec: SampleSpec, seconds: float, generator: Any, stepped: Callable[[int, int], None]) -> Any:
        """Run the pipeline."""
        turbo = bool(self._pipeline.is_turbo)
        steps = self.quick_steps if turbo else self.steps

        def ended(_: Any, step: int, __: Any, values: dict[str, Any]) -> dict[str, Any]:
            stepped(step + 1, steps)
            return values

        return self._pipeline(
            spec.prompt,
            lyrics=_NO_WORDS,
            audio_duration=seconds,
            num_inference_steps=steps,
            guidance_scale=1.0 if turbo else self.guided(spec),
            generator=generator,
            bpm=round(spec.bpm) if spec.bpm else None,
            keyscale=spoken_key(spec.key),
            timesignature=spec.meter.partition("/")[0] if spec.meter else None,
            callback_on_step_end=ended,
        ).audios

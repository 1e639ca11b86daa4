"""Stable Audio Open (Evans et al. 2024, arXiv:2407.14358), and Stable Audio 3 from weights in diffusers' layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bridge.engines.diffusion._engine import DiffusionEngine

if TYPE_CHECKING:
    from prompts import SampleSpec

_THIRD: Final = "StableAudio3Pipeline"
_THIRD_SECONDS: Final = 120.0


class StableAudioEngine(DiffusionEngine):
    """Stereo, 44.1 kHz: one-shots and loops rather than songs."""

    name = "stable_audio"
    default = "stabilityai/stable-audio-open-1.0"
    licence = "Stability AI Community License"
    commercial = False
    pipelines = ("StableAudioPipeline", _THIRD)
    guidance = 7.0
    steps = 100
    needs = ("torchsde",)

    @property
    def _third(self) -> bool:
        return type(self._pipeline).__name__ == _THIRD

    def rate(self) -> int:
        """Hz, as the codec says."""
        return int(self._pipeline.vae.config.sampling_rate)

    def channels(self) -> int:
        """Two, as the codec says."""
        return int(getattr(self._pipeline.vae.config, "audio_channels", 2))

    def longest(self) -> float:
        """Seconds of the model's window."""
        if self._third:
            return _THIRD_SECONDS
        pipeline = self._pipeline
        return float(pipeline.transformer.config.sample_size * pipeline.vae.hop_length / self.rate())

    def ask(self, spec: SampleSpec, seconds: float, generator: Any, stepped: Callable[[int, int], None]) -> Any:
        """Run the pipeline."""
        if not self._third:
            return self._pipeline(
                spec.prompt,
                audio_end_in_s=seconds,
                num_inference_steps=self.steps,
                guidance_scale=self.guided(spec),
                generator=generator,
                callback=lambda step, *_: stepped(step + 1, self.steps),
                callback_steps=1,
            ).audios
        distilled = bool(self._pipeline.scheduler.config.stochastic_sampling)
        steps = self.quick_steps if distilled else self.steps

        def ended(_: Any, step: int, __: Any, values: dict[str, Any]) -> dict[str, Any]:
            stepped(step + 1, steps)
            return values

        return self._pipeline(
            spec.prompt,
            duration=seconds,
            num_inference_steps=steps,
            # guidance is in the weights of a distilled model
            guidance_scale=1.0 if distilled else self.guided(spec),
            generator=generator,
            callback_on_step_end=ended,
        ).audios

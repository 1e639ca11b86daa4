"""Stable Audio Open (Evans et al. 2024, arXiv:2407.14358), and Stable Audio 3 from weights in diffusers' layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bridge.audio.channels import with_channels
from bridge.audio.finishing.resample import resample
from bridge.engines.diffusion._engine import DiffusionEngine, Stepped
from bridge.errors import EngineError
from bridge.plugins.clip import Clip
from bridge.plugins.engine import Report

if TYPE_CHECKING:
    from prompts import SampleSpec

_THIRD: Final = "StableAudio3Pipeline"
_THIRD_SECONDS: Final = 120.0
_CONTEXT_SECONDS: Final = 10.0
"""So much of what is continued the model hears at most."""
_LEAST_CONTEXT_SECONDS: Final = 1.0
_LOOSEST: Final = 10.0
"""Noise over signal (as standard deviations) from which a variation begins, divided by the spec's guidance."""


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
    version = "2"  # seams are mended
    conditions = ("variation", "continuation")

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
        return float(self._pipeline.transformer.config.sample_size * self._hop / self.rate())

    @property
    def _hop(self) -> int:
        """Frames of audio in one of the codec's."""
        vae = self._pipeline.vae
        return int(vae.downsampling_ratio if self._third else vae.hop_length)

    def ask(self, spec: SampleSpec, seconds: float, generator: Any, stepped: Stepped) -> Any:
        """Run the pipeline."""
        return (
            self._run_third(spec, seconds, generator, stepped)
            if self._third
            else self._run(spec, seconds, generator, stepped)
        )

    def stream_from(self, spec: SampleSpec, seconds: float | None, report: Report, source: Clip) -> Iterator[Clip]:
        """Yield a variation of ``source``, or what comes after it; see ``ConditionedEngine``.

        ``spec.guidance`` says how close a variation stays: it begins from the source under noise, whose standard
        deviation is 10 / guidance times the signal's.
        """
        given = self._given(source)
        if spec.source_as == "continuation":
            yield self._continued(spec, seconds, report, given)
            return

        def ask(made: float, generator: Any, stepped: Stepped) -> Any:
            from bridge.engines.diffusion._inpainting import again_as, as_tensor, begun_at

            sigma = _LOOSEST / max(spec.guidance, 1.0)
            if self._third:
                pipeline = again_as(self._pipeline, "StableAudio3AudioToAudioPipeline")
                wave = as_tensor(pipeline, given, self._whole_frames(made))
                # of a flow from noise to audio the share of noise
                level = sigma / (1 + sigma)
                return self._run_third(spec, made, generator, stepped, pipeline, audio=wave, init_noise_level=level)
            with begun_at(self._pipeline, sigma):
                wave = as_tensor(self._pipeline, given)
                more = {"initial_audio_waveforms": wave, "initial_audio_sampling_rate": self.rate()}
                return self._run(spec, made, generator, stepped, guidance=self.guidance, **more)

        yield self._clip(spec, seconds, report, ask)

    def _given(self, clip: Clip) -> Clip:
        samples = with_channels(resample(clip, self.info.rate).samples, self.channels())
        return Clip(np.ascontiguousarray(samples), self.info.rate)

    def fill(self, spec: SampleSpec, clip: Clip, start: float, end: float, report: Report) -> Clip:
        """Make what lies between two seconds of ``clip`` again, to go with the rest; see ``FillingEngine``."""
        given = self._given(clip)

        def ask(made: float, generator: Any, stepped: Stepped) -> Any:
            return self._filled(spec, given, made, (start, end), generator, stepped)

        if given.seconds > self.info.max_seconds:
            raise EngineError(f"{self.name} takes at most {self.info.max_seconds:g} seconds at once.")
        return self._clip(spec, given.seconds, report, ask)

    def _continued(self, spec: SampleSpec, seconds: float | None, report: Report, source: Clip) -> Clip:
        wanted = seconds if seconds is not None else spec.seconds or 8.0
        room = min(self.info.max_seconds - wanted, _CONTEXT_SECONDS, source.seconds)
        if room < min(_LEAST_CONTEXT_SECONDS, source.seconds):
            most = self.info.max_seconds - _LEAST_CONTEXT_SECONDS
            raise EngineError(f"{self.name} continues for at most {most:.0f} seconds at once. Ask for less.")
        # Whole frames of the codec, so that what is heard and what is new meet where one of them ends.
        known = max(1, int(room * self.info.rate) // self._hop) * self._hop
        tail = Clip(np.ascontiguousarray(source.samples[:, -known:]), self.info.rate)

        def ask(made: float, generator: Any, stepped: Stepped) -> Any:
            return self._filled(spec, tail, made, (tail.seconds, made), generator, stepped)

        whole = self._clip(spec, tail.seconds + wanted, report, ask)
        return Clip(np.ascontiguousarray(whole.samples[:, tail.frames :]), whole.rate)

    def _filled(
        self,
        spec: SampleSpec,
        clip: Clip,
        seconds: float,
        between: tuple[float, float],
        generator: Any,
        stepped: Stepped,
    ) -> Any:
        from bridge.engines.diffusion._inpainting import Kept, again_as, as_tensor

        start, end = between
        if self._third:
            pipeline = again_as(self._pipeline, "StableAudio3InpaintPipeline")
            wave = as_tensor(pipeline, clip, self._whole_frames(seconds))
            more = {"audio": wave, "mask_start_seconds": start, "mask_end_seconds": end}
            return self._run_third(spec, seconds, generator, stepped, pipeline, **more)
        per_second = self.rate() / self._hop
        first, last = int(start * per_second + 1e-6), int(np.ceil(end * per_second - 1e-6))
        kept = Kept(self._pipeline, clip, first, last, generator)
        return self._run(spec, seconds, generator, stepped, each_step=kept.put_back)

    def _run(
        self, spec: SampleSpec, seconds: float, generator: Any, stepped: Stepped, guidance: float | None = None,
        each_step: Any = None, **more: Any,
    ) -> Any:  # fmt: skip
        def ended(step: int, _: Any, latents: Any) -> None:
            if each_step is not None:
                each_step(step, latents)
            stepped(step + 1, self.steps)

        return self._pipeline(
            spec.prompt,
            audio_end_in_s=seconds,
            num_inference_steps=self.steps,
            guidance_scale=self.guided(spec) if guidance is None else guidance,
            generator=generator,
            callback=ended,
            callback_steps=1,
            **more,
        ).audios

    def _run_third(
        self, spec: SampleSpec, seconds: float, generator: Any, stepped: Stepped, pipeline: Any = None, **more: Any
    ) -> Any:
        distilled = bool(self._pipeline.scheduler.config.stochastic_sampling)
        steps = self.quick_steps if distilled else self.steps

        def ended(_: Any, step: int, __: Any, values: dict[str, Any]) -> dict[str, Any]:
            stepped(step + 1, steps)
            return values

        if pipeline is None:
            # guidance is in the weights of a distilled model; the pipelines that are given audio have none
            more["guidance_scale"] = 1.0 if distilled else self.guided(spec)
        return (pipeline or self._pipeline)(
            spec.prompt,
            duration=seconds,
            num_inference_steps=steps,
            generator=generator,
            callback_on_step_end=ended,
            **more,
        ).audios

    def _whole_frames(self, seconds: float) -> int:
        """Frames of audio that the codec takes for this many seconds."""
        return int(np.ceil(seconds * self.rate() / self._hop)) * self._hop

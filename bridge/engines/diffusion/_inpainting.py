"""Given audio in the hands of Stable Audio's pipelines: noised to begin from, or kept while the rest is made again.

The part that imports torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from bridge.plugins.clip import Clip


@contextlib.contextmanager
def begun_at(pipeline: Any, sigma: float) -> Iterator[None]:
    """Let the pipeline begin at this level of noise, so that what it begins from is not drowned.

    Its own schedule begins at 80 or 500, where nothing of any audio is left.
    """
    own = pipeline.scheduler
    pipeline.scheduler = type(own).from_config(own.config, sigma_max=sigma)
    try:
        yield
    finally:
        pipeline.scheduler = own


def as_tensor(pipeline: Any, clip: Clip, frames: int | None = None) -> Any:
    """The clip as (1, channels, frames) where the pipeline runs; ``frames``: cut or padded to this many."""
    weights = next(pipeline.vae.parameters())
    wave = torch.from_numpy(clip.samples)[None]
    if frames is not None:
        wave = torch.nn.functional.pad(wave[..., :frames], (0, max(0, frames - wave.shape[-1])))
    return wave.to(device=weights.device, dtype=weights.dtype)


def again_as(pipeline: Any, name: str) -> Any:
    """The same weights in another of diffusers' pipelines."""
    import diffusers

    other = getattr(diffusers, name)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    return other


class Kept:
    """Puts what is known back into a diffusion that runs, at the level of noise of each step.

    Inpainting by replacement (Song et al. 2021, arXiv:2011.13456, section 5), for a model that was not trained for it.
    ``first``, ``last``: the latent frames in between are made again.
    """

    def __init__(self, pipeline: Any, clip: Clip, first: int, last: int, generator: Any) -> None:
        frames = int(pipeline.transformer.config.sample_size)
        with torch.no_grad():
            wave = as_tensor(pipeline, clip, frames * int(pipeline.vae.hop_length))
            self._known = pipeline.vae.encode(wave).latent_dist.mode()
        noise = torch.randn(self._known.shape, generator=generator)
        self._noise = noise.to(device=self._known.device, dtype=self._known.dtype)
        self._keep = torch.ones(self._known.shape[-1], dtype=torch.bool, device=self._known.device)
        self._keep[first:last] = False
        self._pipeline = pipeline

    def put_back(self, step: int, latents: Any) -> None:
        """Overwrite the known frames after ``step``; ``latents`` is what the next step begins from."""
        sigmas = self._pipeline.scheduler.sigmas
        sigma = float(sigmas[min(step + 1, len(sigmas) - 1)])
        latents[..., self._keep] = (self._known + sigma * self._noise)[..., self._keep].to(latents.dtype)

"""The part that imports torch and diffusers."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import diffusers
import numpy as np
import torch
import transformers

from bridge.engines.diffusion._trust import refuse_code
from bridge.errors import EngineUnavailable

_SAFELY: Final[dict[str, Any]] = {"use_safetensors": True, "trust_remote_code": False}
"""No pickles, and no code that comes with a model."""

log = logging.getLogger(__name__)
for _library in (diffusers, transformers):
    _library.utils.logging.set_verbosity_error()
    _library.utils.logging.disable_progress_bar()


def load(model: str, engine: str, known: tuple[str, ...], device: str, half: str) -> tuple[Any, str, str]:
    """Answer the pipeline in ``model`` (folder or hub id), where it runs, and its type of numbers.

    Only safetensors are read and no code that comes with a model is run. Raises EngineUnavailable.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if device == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable("The device cuda is set, and torch sees no GPU. Set BRIDGE_DEVICE=auto.")
    kind = half if device == "cuda" else "float32"
    folder = Path(model).expanduser()
    if folder.is_dir():
        _check_class(_class_in(folder), engine, known, model)
    elif model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise EngineUnavailable(f"There is no folder {model}. Name one in diffusers' layout, or a hub id.")
    try:
        with quiet():
            folder = folder if folder.is_dir() else _cached_or_fetched(model)
            refuse_code(folder, dir(diffusers.pipelines))
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                str(folder), local_files_only=True, torch_dtype=getattr(torch, kind), **_SAFELY
            )
    except EngineUnavailable:
        raise
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise EngineUnavailable(
            f"{model} cannot be loaded ({said}). A model that asks for consent needs it on its page at huggingface.co, "
            "and BRIDGE_HF_TOKEN."
        ) from error
    _check_class(type(pipeline).__name__, engine, known, model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device), device, kind


def _cached_or_fetched(model: str) -> Path:
    """The folder of a model of the hub, fetched when it is not on this machine."""
    try:
        return Path(diffusers.DiffusionPipeline.download(model, local_files_only=True, **_SAFELY))
    except OSError:
        log.info("fetching %s from huggingface.co", model)
        return Path(diffusers.DiffusionPipeline.download(model, **_SAFELY))


def _class_in(folder: Path) -> str:
    try:
        return str(json.loads((folder / "model_index.json").read_text())["_class_name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise EngineUnavailable(f"{folder} holds no pipeline of diffusers: no model_index.json is in it.") from None


def _check_class(found: str, engine: str, known: tuple[str, ...], model: str) -> None:
    if found not in known:
        raise EngineUnavailable(f"{model} is a {found}; the engine {engine} takes {' or '.join(known)}.")


def generator_of(seed: int) -> Any:
    """Random numbers from ``seed``, of the CPU on every device: the same everywhere."""
    return torch.Generator("cpu").manual_seed(seed)


def as_array(audio: Any, channels: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The first of a pipeline's ``audios`` as (channels, frames)."""
    first = audio[0]
    samples = first.detach().float().cpu().numpy() if isinstance(first, torch.Tensor) else np.asarray(first)
    return np.asarray(samples, dtype=np.float32).reshape(channels, -1)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries say to their own developers to themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

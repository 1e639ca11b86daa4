"""From a folder of weights to a model that is ready to play."""

from __future__ import annotations

import json
import logging
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers.utils import logging as transformers_logging

from bridge.errors import EngineUnavailable, first_line

log = logging.getLogger(__name__)

_CLASSES: Final = {
    "musicgen": "MusicgenForConditionalGeneration",
    "musicgen_melody": "MusicgenMelodyForConditionalGeneration",
}
# transformers fills what a checkpoint lacks with noise; in these it would be heard
_HEARD = re.compile(
    r"decoder\..*layers\.|decoder\.lm_heads\.|text_encoder\..*block\.|audio_encoder\.decoder\.|"
    r"audio_encoder\.quantizer\..*\.embed$"
)
_TWO_PROMPTS: Final = ("slow warm pad", "fast dusty drum break")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with what has to be known about it."""

    model: Any
    tokenizer: Any
    device: str
    """"cpu" or "cuda"."""
    dtype: str
    """"float32", "bfloat16" or "float16": of the text encoder and the decoder; the codec is always float32."""
    rate: int
    """Hz."""
    channels: int
    hop: int
    """Frames of audio in one code."""
    delay: int
    """Steps by which the last codebook comes after the first (the delay pattern of the MusicGen paper, section 2.2)."""
    max_steps: int
    """Positions that the decoder has."""


def pick_device(wanted: str) -> str:
    """Turn "auto", "cpu" or "cuda" into one that is there.

    Raises EngineUnavailable for "cuda" without one, or for another name.
    """
    there = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if there else "cpu"
    if wanted == "cuda" and not there:
        raise EngineUnavailable("this machine, or the torch that is installed, has no CUDA: set BRIDGE_DEVICE=auto")
    if wanted not in {"cpu", "cuda"}:
        raise EngineUnavailable(f"there is no device {wanted!r}: set BRIDGE_DEVICE to auto, cpu or cuda")
    return wanted


def load(folder: Path, device: str) -> Loaded:
    """Load the model in ``folder`` onto ``device``, "cpu" or "cuda"; no network, no pickles, no code of others.

    Raises EngineUnavailable when it is not a MusicGen, is damaged, or does not fit into the memory.
    """
    architecture = _architecture(folder)
    model_class = getattr(transformers, _CLASSES[architecture])
    dtype = _dtype(device)
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model, report = model_class.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
            model.eval().to(device)
            # bfloat16 in the codec is noise 40 dB below the music, and float32 costs next to nothing there
            model.audio_encoder.float()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EngineUnavailable(
            f"{folder.name} does not fit into the memory of {device}: choose a smaller model with BRIDGE_MODEL=small"
        ) from error
    except Exception as error:  # whatever a damaged file makes of its reader
        raise EngineUnavailable(
            f"the weights in {folder} cannot be loaded ({first_line(error)}): download or copy them again"
        ) from error
    untrained = sorted(name for name in report["missing_keys"] if _HEARD.match(name))
    if untrained:
        raise EngineUnavailable(
            f"the weights in {folder} lack {len(untrained)} tensors, {untrained[0]} for one: "
            "download or copy them again"
        )
    codec, decoder = model.config.audio_encoder, model.config.decoder
    loaded = Loaded(
        model=model,
        tokenizer=tokenizer,
        device=device,
        dtype=str(dtype).removeprefix("torch."),
        rate=int(codec.sampling_rate),
        channels=int(decoder.audio_channels),
        hop=math.prod(codec.upsampling_ratios),
        delay=int(decoder.num_codebooks) // int(decoder.audio_channels) - 1,  # stereo: a left and a right in step
        max_steps=int(decoder.max_position_embeddings),
    )
    if architecture == "musicgen_melody" and not _hears_words(loaded):
        raise EngineUnavailable(
            f"transformers {transformers.__version__} drops the words given to a melody model (its issue 45647): "
            "pip install --upgrade transformers, or set BRIDGE_MODEL=medium"
        )
    log.info("loaded %s on %s as %s", folder, device, dtype)
    return loaded


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' advice to programmers, and its progress bars, out of the player's terminal.

    Not for use from two threads at once: it changes the process's settings and puts them back.
    """
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # torch and transformers deprecate their own calls to each other
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(torch|transformers)\b")
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(torch|transformers)\b")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _architecture(folder: Path) -> str:
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable(
            f"{folder / 'config.json'} cannot be read as a model's configuration: download or copy the model again"
        ) from error
    if kind not in _CLASSES:
        raise EngineUnavailable(
            f"{folder} holds a {kind!r}, not a MusicGen: point BRIDGE_MODEL at a MusicGen, or set it to small"
        )
    return str(kind)


def _hears_words(loaded: Loaded) -> bool:
    """Say whether two prompts give two different scores; some versions of transformers lose them on the way."""
    scores = []
    for words in _TWO_PROMPTS:
        text = loaded.tokenizer(words, return_tensors="pt").to(loaded.device)
        with quiet():
            out = loaded.model.generate(
                input_ids=text["input_ids"],
                attention_mask=text["attention_mask"],
                max_new_tokens=2 * loaded.delay + 2,  # with fewer there is no delay pattern
                do_sample=False,
                guidance_scale=1.0,
                return_dict_in_generate=True,
                output_logits=True,
            )
        scores.append(out.logits[0])
    return not torch.equal(*scores)


def _dtype(device: str) -> torch.dtype:
    if device != "cuda":
        return torch.float32
    # bfloat16 has float32's range, float16 has not; but before Ampere it is only emulated
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16

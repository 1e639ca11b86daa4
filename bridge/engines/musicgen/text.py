"""What a prompt is to the decoder: the states of a text encoder, in the decoder's width."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from bridge.engines.musicgen.decoder import Floats

if TYPE_CHECKING:
    from bridge.engines.musicgen.checkpoint import Checkpoint

MOST_TOKENS: Final = 512
"""T5 was trained on as many; what comes after them is not heard."""
_MOST_CHARACTERS: Final = 20_000  # no more than these can be in so many tokens that a person wrote
_REMEMBERED: Final = 64


class PromptEncoder:
    """The text encoder of a checkpoint, with the projection behind it. For several threads."""

    def __init__(self, checkpoint: Checkpoint, *, device: str = "cpu", dtype: str | None = None) -> None:
        """``dtype``: "float32", "bfloat16", "float16"; None = what is quicker here, see ``quick_dtype``."""
        self._device = device
        self._tokenizer = checkpoint.tokenizer()
        self._encoder = checkpoint.text_encoder(dtype or quick_dtype(device)).to(device)
        self._projection = checkpoint.projection
        self._remembered: OrderedDict[str, Floats] = OrderedDict()
        self._lock = (
            threading.Lock()
        )  # the tokenizer is not for several threads, and two encoders share the cores badly

    def memory(self, prompt: str) -> Floats:
        """Return what the decoder hears of a prompt, (S, H): a state for each token, the end of the text included."""
        with self._lock:
            if prompt in self._remembered:  # takes, and the pieces of a long sound, come with the same words
                self._remembered.move_to_end(prompt)
                return self._remembered[prompt]
            memory = self._remembered[prompt] = self._encode(prompt)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
            return memory

    def _encode(self, prompt: str) -> Floats:
        text = self._tokenizer(
            prompt[:_MOST_CHARACTERS], return_tensors="pt", truncation=True, max_length=MOST_TOKENS
        ).to(self._device)
        with torch.inference_mode():
            states = self._encoder(input_ids=text["input_ids"], attention_mask=text["attention_mask"])
            # one prompt at a time has no padding: nothing is to be masked
            return self._projection(np.ascontiguousarray(states.last_hidden_state[0].float().cpu().numpy()))


def quick_dtype(device: str) -> str:
    """Say in which type the text encoder is quicker: bfloat16 where the processor has instructions for it.

    12 tokens on two cores of a Zen 4: 21 ms instead of 50; where it is only emulated it is slower.
    """
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    there = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if there is not None and there() else "float32"

"""What a request is to the decoder: the states of a text encoder, and a melody before them, in the decoder's width."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from bridge.engines.musicgen.batching import Conditioning
from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder import Floats

if TYPE_CHECKING:
    from bridge.engines.musicgen.checkpoint import Checkpoint

log = logging.getLogger(__name__)

MOST_TOKENS: Final = 512
"""T5 was trained on as many; tokens after them are cut off."""
_MOST_CHARACTERS: Final = 20_000  # no more than these can be in this many tokens that a person wrote
_CACHED_PROMPTS: Final = 64
_USUAL_TOKENS: Final = 16  # what oneDNN's order is chosen for; others compute with it as well


class PromptEncoder:
    """The text encoder of a checkpoint, with the projection behind it. For several threads."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "cpu",
        dtype: str | None = None,
        core_lock: CoreLock | None = None,
    ) -> None:
        """``dtype``: "float32", "bfloat16", "float16"; None = what is quicker here, see ``quick_dtype``.

        ``core_lock`` is held while a text is encoded.
        """
        self._device = device
        self._tokenizer = checkpoint.tokenizer()
        dtype = dtype or quick_dtype(device)
        self._encoder = checkpoint.text_encoder(dtype).to(device)
        if (device, dtype) == ("cpu", "bfloat16"):
            pack_linears(self._encoder)
            _give_back_memory()
        self._projection = checkpoint.projection
        self._melody = MelodyPrefix(checkpoint) if checkpoint.melody else None
        self._cache: OrderedDict[str, Floats] = OrderedDict()
        self._core_lock = core_lock or CoreLock()
        self._lock = threading.Lock()  # the tokenizer is not for several threads

    def encoder_states(self, prompt: str) -> Floats:
        """Return the encoder states of a prompt, (S, H): one per token, the end of the text included."""
        with self._lock:
            if prompt in self._cache:  # takes, and the pieces of a long sound, come with the same words
                self._cache.move_to_end(prompt)
                return self._cache[prompt]
            states = self._cache[prompt] = self._encode(prompt)
            if len(self._cache) > _CACHED_PROMPTS:
                self._cache.popitem(last=False)
            return states

    def conditioning(self, prompt: str, chroma: Floats | None = None) -> Conditioning:
        """Return the conditioning of a request; ``chroma`` (frames, pitch classes) is for melody models alone."""
        states = self.encoder_states(prompt)
        if self._melody is None:
            return Conditioning(encoder_states=states)
        return Conditioning(
            encoder_states=None,
            prefix=np.concatenate([self._melody.of(chroma), states]),
            unconditional_prefix=np.concatenate([self._melody.of(None), np.zeros_like(states)]),
        )

    def _encode(self, prompt: str) -> Floats:
        text = self._tokenizer(
            prompt[:_MOST_CHARACTERS], return_tensors="pt", truncation=True, max_length=MOST_TOKENS
        ).to(self._device)
        with self._core_lock, torch.inference_mode():
            states = self._encoder(input_ids=text["input_ids"], attention_mask=text["attention_mask"])
            # one prompt at a time has no padding: nothing is to be masked
            return self._projection(np.ascontiguousarray(states.last_hidden_state[0].float().cpu().numpy()))


class MelodyPrefix:
    """The melody as melody models get it: a fixed number of chroma frames before the words."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._projection = checkpoint.chroma_projection
        self._classes = int(checkpoint.config.num_chroma)
        self._length = int(checkpoint.config.chroma_length)

    def of(self, chroma: Floats | None) -> Floats:
        """Return (chroma_length, H): a longer melody is cut, a shorter one repeated, as the reference does it.

        None: no melody; these models were trained with the first pitch class throughout for that.
        """
        if chroma is None or len(chroma) == 0:
            chroma = np.eye(1, self._classes, dtype=np.float32)
        repeats = -(-self._length // len(chroma))
        return np.tile(self._projection(chroma.astype(np.float32, copy=False)), (repeats, 1))[: self._length]


def quick_dtype(device: str) -> str:
    """Say in which type the text encoder is quicker: bfloat16 where the processor has instructions for it.

    12 tokens on two cores of a Zen 4: 21 ms instead of 50; where it is only emulated it is slower.
    """
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    there = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if there is not None and there() else "float32"


def pack_linears(module: torch.nn.Module) -> None:
    """Put the weights of a module's linear layers into oneDNN's own order, once and not in every call.

    The numbers are the same to the last bit; in bfloat16, 12 tokens on two cores of a Zen 4, T5-base takes 20 ms
    instead of 30. A torch without these operations, which are meant for its compiler, keeps the layers as they are.
    """
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return
    for name, child in module.named_children():
        if isinstance(child, torch.nn.Linear) and child.bias is None:
            try:
                setattr(module, name, _PackedLinear(child))
            except (RuntimeError, NotImplementedError) as error:
                log.info("the text encoder's layers stay as they are: %s", str(error).partition("\n")[0])
                return
        else:
            pack_linears(child)


def _give_back_memory() -> None:
    """Let the system have what lies free between what is used: the layers that were packed, 0.05 GB."""
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


class _PackedLinear(torch.nn.Module):  # type: ignore[misc]  # torch does not say what it is
    """A linear layer without bias."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _USUAL_TOKENS)  # noqa: SLF001
        self.weight = linear.weight.new_empty(0)  # transformers asks for its type

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(..., inputs) -> (..., outputs)."""
        outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, None, "none", [], "")  # noqa: SLF001
        return outputs

"""What transformers makes of the same model: scores, and the codes that it draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def reference(folder: Path) -> Any:
    """Load transformers' model."""
    import transformers

    from bridge.engines.musicgen.checkpoint import open_checkpoint
    from bridge.engines.musicgen.loading import quiet

    kind = "MusicgenMelody" if open_checkpoint(folder).melody else "Musicgen"
    with quiet():
        return getattr(transformers, f"{kind}ForConditionalGeneration").from_pretrained(folder).eval()


def reference_scores(decoder: Any, columns: np.ndarray, encoder_states: np.ndarray | None) -> np.ndarray:
    """``columns`` (T, K), ``encoder_states`` (S, H) or None for zeros -> scores (T, K, V), all in one pass."""
    import torch

    codebooks = columns.shape[1]
    states = None if encoder_states is None else torch.from_numpy(encoder_states)[None]
    with torch.inference_mode():
        out = decoder(
            input_ids=torch.from_numpy(columns.T.astype(np.int64)),
            encoder_hidden_states=states if states is not None else torch.zeros(1, 3, decoder.config.hidden_size),
            use_cache=False,
        )
    return out.logits.reshape(codebooks, len(columns), -1).permute(1, 0, 2).float().numpy()


def reference_codes(model: Any, frames: int, **inputs: Any) -> np.ndarray:
    """Let ``generate()`` draw the likeliest codes of ``frames`` new frames -> (frames in all, K), a prompt's first."""
    import torch

    from bridge.engines.musicgen.loading import quiet

    decoder = model.config.decoder
    delay = decoder.num_codebooks // decoder.audio_channels - 1
    with heard_codes(model.audio_encoder) as codes, quiet(), torch.inference_mode():
        model.generate(**{"max_new_tokens": frames + delay, "do_sample": False, **inputs})
    if decoder.audio_channels == 1:
        return codes[0].T
    return np.stack([codes[0], codes[1]], axis=1).reshape(decoder.num_codebooks, -1).T  # left and right in turn


@contextmanager
def heard_codes(codec: Any) -> Iterator[list[np.ndarray]]:
    """Collect the codes (K, frames) that the codec is given to decode."""
    heard: list[np.ndarray] = []
    decode = codec.decode

    def listen(codes: Any, *args: Any, **options: Any) -> Any:
        heard.append(codes[0, 0].numpy().astype(np.int32))
        return decode(codes, *args, **options)

    codec.decode = listen
    try:
        yield heard
    finally:
        del codec.decode

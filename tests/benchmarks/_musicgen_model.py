"""A MusicGen-small of random weights at the real sizes, and random decoders of any size: nothing is downloaded.

How quick a decoder is does not depend on what its weights are. The codebooks are filled with normal numbers: all zero,
as a new EnCodec has them, every code would sound the same.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.engines.musicgen.decoder.interface import DecoderShape, Floats

SIZES = {
    "small": DecoderShape(24, 1024, 16, 4096, 2048, 4, 2048, cross=True),
    "medium": DecoderShape(48, 1536, 24, 6144, 2048, 4, 2048, cross=True),
    "large": DecoderShape(48, 2048, 32, 8192, 2048, 4, 2048, cross=True),
}
"""Table 1 of the MusicGen paper (Copet et al. 2023), with the layer counts of the published checkpoints."""
FRAMES_A_SECOND = 50
DELAY = 3
"""Steps by which the last codebook comes after the first."""
PROMPT = "warm dusty kick drum with a choir pad and bass"
SEED = 20


def small_config() -> Any:
    """Return the configuration of facebook/musicgen-small: T5-base, EnCodec 32 kHz, 24 layers 1024 wide."""
    from transformers import EncodecConfig, MusicgenConfig, MusicgenDecoderConfig, T5Config

    shape = SIZES["small"]
    text = T5Config(vocab_size=32128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    codec = EncodecConfig(
        upsampling_ratios=[8, 5, 4, 4],
        target_bandwidths=[2.2],
        num_filters=64,
        sampling_rate=32_000,
        codebook_size=shape.vocabulary,
        use_causal_conv=False,
        normalize=False,
        use_conv_shortcut=False,
    )
    decoder = MusicgenDecoderConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        ffn_dim=shape.ffn,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_codebooks=shape.codebooks,
        pad_token_id=shape.vocabulary,
        bos_token_id=shape.vocabulary,
        tie_word_embeddings=False,
    )
    return MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder)


def build(folder: Path) -> Path:
    """Write the checkpoint (2.4 GB) into ``folder``, as save_pretrained does, and return it."""
    import torch
    from transformers import GenerationConfig, MusicgenForConditionalGeneration

    from tests.tiny_musicgen import _tokenizer

    if (folder / "model.safetensors").exists():
        return folder
    torch.manual_seed(SEED)
    model = MusicgenForConditionalGeneration(small_config()).eval()
    with torch.no_grad():
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.normal_()
    pad = SIZES["small"].vocabulary
    model.generation_config = GenerationConfig(
        bos_token_id=pad, decoder_start_token_id=pad, pad_token_id=pad, do_sample=True, guidance_scale=3.0,
        max_length=1500,
    )  # fmt: skip
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class RandomWeights:
    """Weights of a decoder of any shape, made as they are read."""

    shape: DecoderShape

    @property
    def digest(self) -> str:
        """Name of the shape."""
        return f"bench{self.shape.layers:04x}{self.shape.hidden:04x}".encode().hex()

    def read(self, name: str) -> Floats:
        """Return one tensor; ``DecoderWeights`` lists names and shapes."""
        hidden, ffn = self.shape.hidden, self.shape.ffn
        books, codes = self.shape.codebooks, self.shape.vocabulary
        if name.endswith("norm.weight"):
            return np.ones(hidden, np.float32)
        if name.endswith("norm.bias"):
            return np.zeros(hidden, np.float32)
        sizes = {
            "embed": (books * (codes + 1), hidden),
            "heads": (books * codes, hidden),
            "qkv": (3 * hidden, hidden),
            "fc1": (ffn, hidden),
            "fc2": (hidden, ffn),
        }
        rows, columns = sizes.get(name.rpartition(".")[2], (hidden, hidden))
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        # a block of normal numbers, repeated: a fresh one of billions would take minutes
        block = generator.standard_normal(1 << 16, dtype=np.float32) * np.float32(0.02)
        return np.resize(block, (rows, columns))


def threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def say(**facts: Any) -> None:
    """Answer the process that asked for a part, on the last line."""
    print(json.dumps(facts, default=float), flush=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    say(folder=sys.argv[1])

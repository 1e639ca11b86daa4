"""A MusicGen of a third of a million random weights, built from its configuration: nothing is downloaded.

It has the layout of the real one (50 codes a second, 640 frames a code at 32 kHz, the delay pattern, T5 text) and goes
through the same code, in milliseconds. A random EnCodec needs help, though: its codebooks are all zero, so that every
code would sound the same, and what its decoder makes is a steady pattern next to silence.
"""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

RATE = 32_000
CODE_RATE = 50
VOCABULARY = 64
LEVEL = 0.1
"""RMS of random codes, after the level is set."""
_SPREAD = 3.0  # standard deviation of what stands in the codebooks


def build_tiny_musicgen(folder: Path, *, channels: int = 1, melody: bool = False, seed: int = 0) -> Path:
    """Write a tiny MusicGen into ``folder`` and return it; a folder that has one is left alone.

    ``channels``: 1, or 2 as in facebook/musicgen-stereo-*. ``melody``: the architecture of facebook/musicgen-melody.
    The same arguments give the same weights.
    """
    import torch

    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = _model(channels, melody)
        _fill_codebooks(model.audio_encoder)
        _make_audible(model.audio_encoder)
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _model(channels: int, melody: bool) -> Any:
    from transformers import (
        EncodecConfig,
        GenerationConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        MusicgenMelodyConfig,
        MusicgenMelodyDecoderConfig,
        MusicgenMelodyForConditionalGeneration,
        T5Config,
    )

    text = T5Config(
        vocab_size=128, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, pad_token_id=0, eos_token_id=1
    )
    codec = EncodecConfig(
        sampling_rate=RATE,
        audio_channels=1,
        normalize=False,
        num_filters=4,
        num_residual_layers=1,
        upsampling_ratios=[8, 5, 4, 4],
        hidden_size=16,
        codebook_size=VOCABULARY,
        codebook_dim=16,
        num_lstm_layers=1,
        target_bandwidths=[CODE_RATE * 4 * math.log2(VOCABULARY) / 1000],
        use_causal_conv=False,
        use_conv_shortcut=False,
        chunk_length_s=None,
    )
    decoder = (MusicgenMelodyDecoderConfig if melody else MusicgenDecoderConfig)(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        ffn_dim=256,
        num_attention_heads=4,
        num_codebooks=4 * channels,
        audio_channels=channels,
        pad_token_id=VOCABULARY,
        bos_token_id=VOCABULARY,
        dropout=0.0,
        initializer_factor=0.3,  # with the real 0.02 the scores are flat, and the words would change nothing
    )
    config = (MusicgenMelodyConfig if melody else MusicgenConfig)(
        text_encoder=text, audio_encoder=codec, decoder=decoder
    )
    model = (MusicgenMelodyForConditionalGeneration if melody else MusicgenForConditionalGeneration)(config).eval()
    # what facebook/musicgen-small has in its generation_config.json
    model.generation_config = GenerationConfig(
        bos_token_id=VOCABULARY,
        decoder_start_token_id=VOCABULARY,
        pad_token_id=VOCABULARY,
        do_sample=True,
        guidance_scale=3.0,
        max_length=1500,
    )
    return model


def _fill_codebooks(codec: Any) -> None:
    """Fill layer after layer with what the encoder really puts out, minus what the layers before it explain."""
    import torch

    frames = RATE * 4
    time = torch.arange(frames) / RATE
    tones = [torch.sin(2 * math.pi * pitch * time) * torch.exp(-4 * ((time * (2 + i)) % 1)) for i, pitch in
             enumerate((55, 110, 330, 880))]  # fmt: skip
    sounds = torch.stack([*tones, 0.3 * torch.randn(frames)])[:, None, :]
    rest = codec.encoder(sounds).transpose(1, 2).reshape(-1, codec.config.codebook_dim)
    mean, spread = rest.mean(0), rest.std(0).clamp_min(1e-6)
    rest = (rest - mean) / spread
    # the encoder puts that out from now on, else its biases alone decide, and all audio has the same codes
    last = codec.encoder.layers[-1].conv
    last.parametrizations.weight.original0.div_(spread[:, None, None] / _SPREAD)
    last.bias.sub_(mean).div_(spread / _SPREAD)
    for layer in codec.quantizer.layers:
        codes = rest[torch.randperm(rest.shape[0])[:VOCABULARY]]
        layer.codebook.embed.copy_(codes)
        rest = rest - codes[torch.cdist(rest, codes).argmin(-1)]


def _make_audible(codec: Any) -> None:
    """Let the codes be heard: random biases alone drown them in one steady pattern, mostly at half the sample rate.

    Without biases, and with a smooth last kernel, each code has its own waveform; then the level is set, without DC.
    """
    import torch

    for name, weights in codec.decoder.named_parameters():
        if "bias" in name:
            weights.zero_()
    for layer in codec.quantizer.layers:
        layer.codebook.embed.mul_(_SPREAD)
    last = codec.decoder.layers[-1].conv
    kernel = last.parametrizations.weight.original1  # (out, in, taps); weight norm keeps its length apart, in original0
    kernel.copy_(torch.hann_window(kernel.shape[-1] + 2)[1:-1] * kernel[:, :, :1].sign())
    codes = torch.randint(0, VOCABULARY, (1, 1, len(codec.quantizer.layers), 4 * CODE_RATE))
    audio = codec.decode(codes, [None]).audio_values
    gain = LEVEL / float(audio.std())
    last.parametrizations.weight.original0.mul_(gain)
    last.bias.sub_(gain * audio.mean())


def _tokenizer() -> Any:
    from transformers import T5TokenizerFast

    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = ("kick", "snare", "pad", "bass", "drum", "choir", "warm", "dusty")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -4.0) for letter in letters] + [("▁" + word, -3.0) for word in words]
    return T5TokenizerFast(vocab=pieces, extra_ids=0)

"""Pipelines of diffusers with a few thousand random weights, built from their configurations: nothing is downloaded."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from tests.tiny_musicgen import _tokenizer

RATE = 44_100


def build_tiny(name: str, folder: Path) -> Path:
    """Write the tiny pipeline of an engine (stable_audio, stable_audio_3, audioldm2, ace_step) into ``folder``."""
    import torch

    if (folder / "model_index.json").exists():
        return folder
    with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        kinds = {
            "stable_audio": _stable_audio,
            "stable_audio_3": _stable_audio_3,
            "audioldm2": _audioldm2,
            "ace_step": _ace_step,
        }
        pipeline = kinds[name]()
    pipeline.save_pretrained(folder)
    return folder


def _codec(channels_in: int, rate: int) -> Any:
    import torch
    from diffusers import AutoencoderOobleck

    codec = AutoencoderOobleck(
        encoder_hidden_size=2 * channels_in, downsampling_ratios=[16, 16], channel_multiples=[1, 2], decoder_channels=8,
        decoder_input_channels=channels_in, audio_channels=2, sampling_rate=rate,
    )  # fmt: skip
    # What random weights decode is next to silence.
    codec.decoder.conv2.weight_g.mul_(0.1 / codec.decode(torch.randn(1, channels_in, 64)).sample.std())
    return codec


def _text(width: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(vocab_size=128, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2))


def _stable_audio() -> Any:
    from diffusers import (
        EDMDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )

    tokenizer = _tokenizer()
    tokenizer.model_max_length = 32
    return StableAudioPipeline(
        vae=_codec(8, RATE),
        text_encoder=_text(16),
        projection_model=StableAudioProjectionModel(
            text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=512
        ),
        tokenizer=tokenizer,
        transformer=StableAudioDiTModel(
            sample_size=1024, in_channels=8, out_channels=8, num_layers=1, attention_head_dim=8,
            num_attention_heads=2, num_key_value_attention_heads=2, cross_attention_dim=16, time_proj_dim=8,
            global_states_input_dim=32, cross_attention_input_dim=16,
        ),
        scheduler=EDMDPMSolverMultistepScheduler(prediction_type="v_prediction", sigma_data=1.0),
    )  # fmt: skip


def _stable_audio_3() -> Any:
    from diffusers import (
        AutoencoderSAME,
        FlowMatchEulerDiscreteScheduler,
        StableAudio3DiTModel,
        StableAudio3Pipeline,
    )
    from diffusers.pipelines.stable_audio_3 import StableAudio3DurationEmbedder
    from transformers import T5GemmaConfig, T5GemmaEncoderModel, T5GemmaModuleConfig

    part = T5GemmaModuleConfig(
        vocab_size=128, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=512, query_pre_attn_scalar=8,
        layer_types=["full_attention"],
    )  # fmt: skip
    text = T5GemmaConfig(encoder=part, decoder=part, is_encoder_decoder=False, vocab_size=128)
    vae = AutoencoderSAME(
        patch_size=16, encoder_channels=8, encoder_c_mults=[1], encoder_strides=[16], encoder_transformer_depths=[1],
        latent_dim=8, dim_heads=8, sampling_rate=RATE,
    )  # fmt: skip
    transformer = StableAudio3DiTModel(
        io_channels=8, embed_dim=16, depth=1, num_heads=2, cond_token_dim=16, global_cond_dim=16,
        local_add_cond_dim=9, timestep_features_dim=8, num_memory_tokens=2,
    )  # fmt: skip
    # What begins at zero in training would let nothing through.
    for weights in (*vae.parameters(), *transformer.parameters()):
        if not weights.any():
            weights.normal_(0.0, 0.3)
    return StableAudio3Pipeline(
        vae=vae,
        text_encoder=T5GemmaEncoderModel(text),
        tokenizer=_tokenizer(),
        duration_embedder=StableAudio3DurationEmbedder(output_dim=16, fourier_dim=8),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0, stochastic_sampling=True),
    )  # fmt: skip


def _ace_step() -> Any:
    from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
    from diffusers.pipelines.ace_step import AceStepConditionEncoder
    from transformers import Qwen3Config, Qwen3Model

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 8, "sliding_window": 16}  # fmt: skip
    text = Qwen3Config(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        head_dim=8, vocab_size=128, max_position_embeddings=512,
    )  # fmt: skip
    return AceStepPipeline(
        vae=_codec(8, 48_000),
        text_encoder=Qwen3Model(text),
        tokenizer=_tokenizer(),
        transformer=AceStepTransformer1DModel(
            **sizes, num_hidden_layers=1, in_channels=24, audio_acoustic_hidden_dim=8, patch_size=2, is_turbo=True
        ),
        condition_encoder=AceStepConditionEncoder(
            **sizes, text_hidden_dim=16, timbre_hidden_dim=8, num_lyric_encoder_hidden_layers=1,
            num_timbre_encoder_hidden_layers=1,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )  # fmt: skip


def _audioldm2() -> Any:
    import torch
    from diffusers import (
        AudioLDM2Pipeline,
        AudioLDM2ProjectionModel,
        AudioLDM2UNet2DConditionModel,
        AutoencoderKL,
        DDIMScheduler,
    )
    from transformers import (
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapTextConfig,
        GPT2Config,
        GPT2LMHeadModel,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )

    clap_text = ClapTextConfig(
        hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1, vocab_size=128,
        projection_dim=16, pad_token_id=0,
    )  # fmt: skip
    clap_audio = ClapAudioConfig(
        spec_size=64, window_size=4, num_mel_bins=64, intermediate_size=32, depths=[1, 1], num_attention_heads=[2, 2],
        num_hidden_layers=2, hidden_size=32, projection_dim=16, patch_size=2, patch_stride=2,
        patch_embed_input_channels=4, patch_embeds_hidden_size=16,
    )  # fmt: skip
    clap = ClapConfig(text_config=clap_text.to_dict(), audio_config=clap_audio.to_dict(), projection_dim=16)
    language = GPT2LMHeadModel(GPT2Config(n_embd=16, n_head=2, n_layer=1, vocab_size=128, n_positions=256))
    language.config.max_new_tokens = 8
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=16_000, upsample_initial_channel=8, upsample_rates=[8, 20],
        upsample_kernel_sizes=[16, 40], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
    ))  # fmt: skip
    vocoder.conv_post.weight.mul_(0.1 / vocoder(torch.randn(1, 50, 8)).std())
    first, second = _tokenizer(), _tokenizer()
    first.model_max_length = second.model_max_length = 64
    return AudioLDM2Pipeline(
        vae=AutoencoderKL(
            in_channels=1, out_channels=1, latent_channels=4, block_out_channels=[8, 16], norm_num_groups=4,
            down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        ),
        text_encoder=ClapModel(clap),
        text_encoder_2=_text(32),
        projection_model=AudioLDM2ProjectionModel(text_encoder_dim=16, text_encoder_1_dim=32, langauge_model_dim=16),
        language_model=language,
        tokenizer=first,
        tokenizer_2=second,
        feature_extractor=ClapFeatureExtractor(),
        unet=AudioLDM2UNet2DConditionModel(
            block_out_channels=(8, 16), layers_per_block=1, sample_size=32, in_channels=4, out_channels=4,
            norm_num_groups=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=([None, 16, 32], [None, 16, 32]),
            attention_head_dim=4,
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
        vocoder=vocoder,
    )  # fmt: skip

"""A MusicGen checkpoint as transformers saves it: any size, mono, stereo, melody, fine-tuned, with or without LoRA."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import transformers

from bridge.engines.musicgen.decoder import DecoderShape, DecoderWeights, Floats
from bridge.engines.musicgen.loading import quiet
from bridge.engines.musicgen.lora import CONFIG, Adapter
from bridge.engines.musicgen.tensors import Tensors
from bridge.errors import EngineUnavailable, first_line

MODEL_TYPES: Final = ("musicgen", "musicgen_melody")
_INDEX: Final = "model.safetensors.index.json"
_SINGLE: Final = "model.safetensors"
_LAYERS: Final = "decoder.model.decoder"
_NAMES: Final = {
    "self_norm.weight": "self_attn_layer_norm.weight",
    "self_norm.bias": "self_attn_layer_norm.bias",
    "self_out": "self_attn.out_proj.weight",
    "cross_norm.weight": "encoder_attn_layer_norm.weight",
    "cross_norm.bias": "encoder_attn_layer_norm.bias",
    "cross_q": "encoder_attn.q_proj.weight",
    "cross_k": "encoder_attn.k_proj.weight",
    "cross_v": "encoder_attn.v_proj.weight",
    "cross_out": "encoder_attn.out_proj.weight",
    "ffn_norm.weight": "final_layer_norm.weight",
    "ffn_norm.bias": "final_layer_norm.bias",
    "fc1": "fc1.weight",
    "fc2": "fc2.weight",
}
"""Our names of a layer's weights -> transformers'; ``qkv`` is three of theirs."""


@dataclass(frozen=True, slots=True)
class Projection:
    """From the width of an encoder to the decoder's; without weights it changes nothing."""

    weight: Floats | None = None
    """(H, W)."""
    bias: Floats | None = None
    """(H,)."""

    def __call__(self, states: Floats) -> Floats:
        """(S, W) -> (S, H)."""
        if self.weight is None:
            return states
        projected: Floats = states @ self.weight.T
        return projected if self.bias is None else projected + self.bias


class Checkpoint:
    """What is in a folder, read when it is asked for, and nothing twice."""

    def __init__(self, folder: Path, adapter: Path | None) -> None:
        self.folder = folder
        self._kind = _model_type(folder)
        self._tensors = Tensors(_files(folder))
        if adapter is None and (folder / CONFIG).is_file():
            adapter = folder
        self._adapter = None if adapter is None else Adapter(adapter)
        try:
            with quiet():
                self.config: Any = transformers.AutoConfig.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
                self._shape = _shape(self.config.decoder, cross=not self.melody)
        except Exception as error:  # whatever a damaged configuration makes of its reader
            raise EngineUnavailable(
                f"{folder / 'config.json'} does not describe a MusicGen ({first_line(error)}): download or copy the "
                "model again"
            ) from error
        self._check()

    @property
    def melody(self) -> bool:
        """Is it one of those that follow a melody? They have no cross-attention, and hear everything as a prefix."""
        return self._kind == "musicgen_melody"

    @property
    def rate(self) -> int:
        """Hz."""
        return int(self.config.audio_encoder.sampling_rate)

    @property
    def hop(self) -> int:
        """Frames of audio that one frame of codes is."""
        return math.prod(self.config.audio_encoder.upsampling_ratios)

    @property
    def channels(self) -> int:
        """1, or 2: then half of the codebooks are the left channel's."""
        return int(getattr(self.config.decoder, "audio_channels", 1))

    @property
    def delay(self) -> int:
        """Steps by which the last code of a frame comes after the first."""
        return self._shape.codebooks // self.channels - 1

    @cached_property
    def projection(self) -> Projection:
        """What stands between text encoder and decoder."""
        return self._projection("enc_to_dec_proj", self.config.text_encoder.hidden_size)

    @cached_property
    def chroma_projection(self) -> Projection:
        """What stands between the chroma of a melody and the decoder; melody models alone have it."""
        return self._projection("audio_enc_to_dec_proj", self.config.num_chroma)

    def tokenizer(self) -> Any:
        """Return the tokenizer of the prompts."""
        try:
            with quiet():
                return transformers.AutoTokenizer.from_pretrained(
                    self.folder, local_files_only=True, trust_remote_code=False
                )
        except Exception as error:
            raise EngineUnavailable(
                f"the tokenizer in {self.folder} cannot be loaded ({first_line(error)}): download or copy the model "
                "again"
            ) from error

    def text_encoder(self, dtype: str = "float32") -> Any:
        """Return transformers' model with ``last_hidden_state`` (1, S, W), on the CPU."""
        config = self.config.text_encoder
        return self._part("text_encoder", transformers.MODEL_FOR_TEXT_ENCODING_MAPPING[type(config)], config, dtype)

    def codec(self) -> Any:
        """Return transformers' EncodecModel, on the CPU in float32."""
        config = self.config.audio_encoder
        return self._part("audio_encoder", transformers.MODEL_MAPPING[type(config)], config, "float32")

    def decoder_weights(self) -> DecoderWeights:
        """Return the decoder's weights, to be read a tensor at a time."""
        return _Weights(self._shape, self.digest, self._read)

    @cached_property
    def digest(self) -> str:
        """Names configuration, weights and adapter by their content; see ``Tensors.digest`` for what that promises."""
        digest = hashlib.sha256((self.folder / "config.json").read_bytes())
        digest.update(self._tensors.digest().encode())
        if self._adapter is not None:
            digest.update(self._adapter.digest().encode())
        return digest.hexdigest()[:32]

    def _read(self, name: str) -> Floats:
        weight = self._tensors.read(name)
        return weight if self._adapter is None else self._adapter.merged(name, weight)

    def _projection(self, name: str, width: int) -> Projection:
        if width == self._shape.hidden:
            return Projection()
        return Projection(self._read(f"{name}.weight"), self._read(f"{name}.bias"))

    def _part(self, prefix: str, model_class: Any, config: Any, dtype: str) -> Any:
        """Build one of the models in the model, from its tensors alone; they become the model's, and are not copied."""
        kind = getattr(torch, dtype)
        state = {
            name.removeprefix(f"{prefix}."): torch.from_numpy(self._read(name)).to(kind)
            for name in self._tensors
            if name.startswith(f"{prefix}.") and self._tensors.is_float(name)
        }
        try:
            with quiet():
                model, report = model_class.from_pretrained(
                    None, config=config, state_dict=state, dtype=kind, output_loading_info=True
                )
        except Exception as error:
            raise EngineUnavailable(
                f"the {prefix} in {self.folder} cannot be loaded ({first_line(error)}): download or copy the model "
                "again"
            ) from error
        missing = sorted(name for name in report["missing_keys"] if not name.endswith(_UNHEARD))
        if missing:
            raise EngineUnavailable(
                f"the weights in {self.folder} lack {len(missing)} tensors of the {prefix}, {missing[0]} for one: "
                "download or copy the model again"
            )
        return model.eval()

    def _check(self) -> None:
        """Look whether all of the decoder is there, in the sizes that the configuration says."""
        shape = self._shape
        for name, size in _expected(shape).items():
            if name not in self._tensors:
                raise EngineUnavailable(
                    f"the weights in {self.folder} lack {name}: download or copy the model again; if it is another "
                    "model's folder, point BRIDGE_MODEL at a MusicGen"
                )
            if self._tensors.shape(name) != size:
                raise EngineUnavailable(
                    f"{name} in {self.folder} is of the size {self._tensors.shape(name)}, and config.json says {size}: "
                    "the two are of different models; copy both from the same one"
                )
        if self._adapter is not None:
            strange = [name for name in self._adapter.weights if name not in self._tensors]
            if strange:
                raise EngineUnavailable(
                    f"the adapter changes {strange[0]}, which the model in {self.folder} has not: it was trained on "
                    "another model"
                )
        codec = self.config.audio_encoder
        if shape.codebooks % self.channels or int(codec.codebook_size) < shape.vocabulary:
            raise EngineUnavailable(
                f"in {self.folder} the decoder makes {shape.codebooks} codebooks of {shape.vocabulary} codes and the "
                f"codec reads {codec.codebook_size}: config.json is of another model; copy the whole folder again"
            )


# what a codec needs for training alone
_UNHEARD: Final = (".initted", ".inited", ".cluster_size", ".embed_avg")


@dataclass(frozen=True, slots=True)
class _Weights:
    """``DecoderWeights`` under transformers' names."""

    shape: DecoderShape
    digest: str
    tensor: Callable[[str], Floats]

    def read(self, name: str) -> Floats:
        shape = self.shape
        if name == "embed":
            return self._stacked([f"{_LAYERS}.embed_tokens.{k}.weight" for k in range(shape.codebooks)])
        if name == "heads":
            return self._stacked([f"decoder.lm_heads.{k}.weight" for k in range(shape.codebooks)])
        if name in {"norm.weight", "norm.bias"}:
            return self.tensor(f"{_LAYERS}.layer_{name}")
        layer, _, part = name.partition(".")
        if part == "qkv":
            return self._stacked([f"{_LAYERS}.layers.{layer}.self_attn.{which}_proj.weight" for which in "qkv"])
        return self.tensor(f"{_LAYERS}.layers.{layer}.{_NAMES[part]}")

    def _stacked(self, names: list[str]) -> Floats:
        first = self.tensor(names[0])
        stacked = np.empty((len(names), *first.shape), dtype=np.float32)
        stacked[0] = first
        for i, name in enumerate(names[1:], start=1):
            stacked[i] = self.tensor(name)
        return stacked.reshape(-1, first.shape[1])


def open_checkpoint(folder: Path, adapter: Path | None = None) -> Checkpoint:
    """Look into a folder: configuration, names and sizes of the weights; the weights are read when they are asked for.

    ``adapter``: a folder with a LoRA adapter; None = that in ``folder`` itself, if there is one.

    Raises EngineUnavailable when it is not a MusicGen, or a file is missing, cut off, a pickle, or of another model.
    """
    return Checkpoint(folder, adapter)


def _model_type(folder: Path) -> str:
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8"))["model_type"]
    except FileNotFoundError as error:
        raise EngineUnavailable(
            f"{folder} has no config.json: point BRIDGE_MODEL at the folder of a MusicGen, or set it to small"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable(
            f"{folder / 'config.json'} cannot be read as a model's configuration: download or copy the model again"
        ) from error
    if kind not in MODEL_TYPES:
        raise EngineUnavailable(
            f"{folder} holds a {kind!r}, not a MusicGen: point BRIDGE_MODEL at a MusicGen, or set it to small"
        )
    return str(kind)


def _files(folder: Path) -> list[Path]:
    """Name the files that hold the weights: the single one, else those of the index."""
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    if (folder / _INDEX).is_file():
        try:
            names = set(json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise EngineUnavailable(f"{folder / _INDEX} cannot be read: download or copy the model again") from error
        # a file outside the folder is none of the model's
        return sorted(folder / Path(str(name)).name for name in names)
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if pickles:
        raise EngineUnavailable(
            f"the model folder {folder} has its weights only as a pickle ({pickles[0]}), which could run any code "
            "when it is loaded: save the model again with save_pretrained(folder, safe_serialization=True)"
        )
    raise EngineUnavailable(f"{folder} has no {_SINGLE}: download or copy the model again")


def _shape(decoder: Any, *, cross: bool) -> DecoderShape:
    if decoder.activation_function != "gelu":
        raise ValueError(f"its activation is {decoder.activation_function}, not gelu")
    if decoder.pad_token_id != decoder.vocab_size:
        raise ValueError(f"the code for nothing is {decoder.pad_token_id}, not {decoder.vocab_size}")
    return DecoderShape(
        layers=int(decoder.num_hidden_layers),
        hidden=int(decoder.hidden_size),
        heads=int(decoder.num_attention_heads),
        ffn=int(decoder.ffn_dim),
        vocabulary=int(decoder.vocab_size),
        codebooks=int(decoder.num_codebooks),
        positions=int(decoder.max_position_embeddings),
        cross=cross,
    )


def _expected(shape: DecoderShape) -> dict[str, tuple[int, ...]]:
    """Say which tensors a decoder has, under transformers' names."""
    hidden, ffn, vocabulary = shape.hidden, shape.ffn, shape.vocabulary
    sizes: dict[str, tuple[int, ...]] = {f"{_LAYERS}.layer_norm.{kind}": (hidden,) for kind in ("weight", "bias")}
    for k in range(shape.codebooks):
        sizes[f"{_LAYERS}.embed_tokens.{k}.weight"] = (vocabulary + 1, hidden)
        sizes[f"decoder.lm_heads.{k}.weight"] = (vocabulary, hidden)
    special = {"fc1": (ffn, hidden), "fc2": (hidden, ffn)}
    for i in range(shape.layers):
        for which in "qkv":
            sizes[f"{_LAYERS}.layers.{i}.self_attn.{which}_proj.weight"] = (hidden, hidden)
        for part, name in _NAMES.items():
            if shape.cross or not part.startswith("cross_"):
                norm = "norm" in part
                sizes[f"{_LAYERS}.layers.{i}.{name}"] = (hidden,) if norm else special.get(part, (hidden, hidden))
    return sizes

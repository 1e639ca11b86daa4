"""Part of the MusicGen benchmark: the same decoder step in the formats of onnxruntime and OpenVINO, with 8-bit weights.

``python -P -m tests.benchmarks._musicgen_export FOLDER onnx|openvino`` writes ``decoder.onnx`` and ``int8.onnx``, or
``decoder.xml`` and ``int8.xml``, each with its ``.bin``. The step is written in the way that suits exporters best: one
conditional row and one unconditional row, whose cross-attention is left out. Keys and values of the prompt are
constants; queries, keys and values are one product, as are the four heads.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.benchmarks._musicgen_model import say, threads

ROWS = 2


class ExportedStep(nn.Module):
    """One step of two rows; the past comes in and goes out."""

    def __init__(self, model: Any, encoder_states: torch.Tensor) -> None:
        super().__init__()
        decoder, config = model.decoder.model.decoder, model.config.decoder
        self.heads, self.layers_count = config.num_attention_heads, config.num_hidden_layers
        self.width = config.hidden_size // self.heads
        self.codebooks, self.vocabulary = config.num_codebooks, config.vocab_size
        self.register_buffer("embedding", torch.cat([each.weight for each in decoder.embed_tokens]))
        self.register_buffer("offsets", torch.arange(self.codebooks) * (self.vocabulary + 1))
        self.register_buffer("positions", decoder.embed_positions.weights.clone())
        self.layers = decoder.layers
        self.qkv = nn.ModuleList(_joined(*_projections(layer.self_attn)) for layer in decoder.layers)
        self.final_norm = decoder.layer_norm
        self.scores = _joined(*model.decoder.lm_heads)
        self.cross_kv = [
            [
                self._split(projection(encoder_states[None]))
                for projection in (layer.encoder_attn.k_proj, layer.encoder_attn.v_proj)
            ]
            for layer in decoder.layers
        ]

    def forward(self, codes: torch.Tensor, position: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """``codes`` (2, K), ``position`` (1), ``past`` (2, heads, T, width) of keys and values of each layer."""
        out: list[torch.Tensor] = []
        hidden = functional.embedding(codes + self.offsets, self.embedding).sum(1)
        hidden = (hidden + self.positions.index_select(0, position))[:, None]  # (2, 1, H)
        for index, layer in enumerate(self.layers):
            mixed = self.qkv[index](layer.self_attn_layer_norm(hidden))
            query, key, value = (self._split(part) for part in mixed.chunk(3, -1))
            key, value = torch.cat([past[2 * index], key], 2), torch.cat([past[2 * index + 1], value], 2)
            out += [key, value]
            hidden = hidden + layer.self_attn.out_proj(self._attend(query, key, value))
            conditional = hidden[:1]
            query = self._split(layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(conditional)))
            conditional = conditional + layer.encoder_attn.out_proj(self._attend(query, *self.cross_kv[index]))
            hidden = torch.cat([conditional, hidden[1:]])
            hidden = hidden + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(hidden))))
        scores = self.scores(self.final_norm(hidden)).view(ROWS, self.codebooks, self.vocabulary)
        return (scores, *out)

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        return states.view(states.shape[0], -1, self.heads, self.width).transpose(1, 2)

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        attended = functional.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).reshape(query.shape[0], -1, self.heads * self.width)


def main(folder: Path, kind: str) -> None:
    """Write one of the two formats."""
    from transformers import MusicgenForConditionalGeneration

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads())
    torch.set_grad_enabled(False)
    model = MusicgenForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    step = ExportedStep(model, torch.from_numpy(np.load(folder / "reference.npz")["encoder_states"])).eval()
    past = [torch.zeros(ROWS, step.heads, 3, step.width) for _ in range(2 * step.layers_count)]
    given = (torch.zeros(ROWS, step.codebooks, dtype=torch.int64), torch.zeros(1, dtype=torch.int64), *past)
    (_onnx if kind == "onnx" else _openvino)(step, given, folder)
    say(done=kind)


def _onnx(step: ExportedStep, given: tuple[torch.Tensor, ...], folder: Path) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    old, new = _names(step)
    torch.onnx.export(
        step, given, folder / "decoder.onnx", dynamo=False, opset_version=17,
        input_names=["codes", "position", *old], output_names=["scores", *new],
        dynamic_axes={name: {2: "past"} for name in old} | {name: {2: "time"} for name in new},
    )  # fmt: skip
    eight = DefaultWeightOnlyQuantConfig(block_size=64, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = MatMulNBitsQuantizer(onnx.load(folder / "decoder.onnx"), algo_config=eight)
    quantizer.process()
    quantizer.model.save_model_to_file(str(folder / "int8.onnx"), False)


def _openvino(step: ExportedStep, given: tuple[torch.Tensor, ...], folder: Path) -> None:
    import nncf
    import openvino
    from openvino._offline_transformations import apply_make_stateful_transformation

    model = openvino.convert_model(step, example_input=given)
    old, new = _names(step)
    shape = openvino.PartialShape([ROWS, step.heads, -1, step.width])
    for port, name in zip(model.inputs, ["codes", "position", *old], strict=True):
        port.get_tensor().set_names({name})
        if name in old:
            port.get_node().set_partial_shape(shape)
    for port, name in zip(model.outputs, ["scores", *new], strict=True):
        port.get_tensor().set_names({name})
    model.reshape({"codes": [ROWS, step.codebooks], "position": [1]} | dict.fromkeys(old, shape))
    apply_make_stateful_transformation(model, dict(zip(old, new, strict=True)))
    openvino.save_model(model, folder / "decoder.xml", compress_to_fp16=False)
    eight = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(eight, folder / "int8.xml", compress_to_fp16=False)


def _names(step: ExportedStep) -> tuple[list[str], list[str]]:
    numbers = range(2 * step.layers_count)
    return [f"past{number}" for number in numbers], [f"new{number}" for number in numbers]


def _projections(attention: Any) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    return attention.q_proj, attention.k_proj, attention.v_proj


def _joined(*layers: nn.Linear) -> nn.Linear:
    """Put several layers with one input into one."""
    weight = torch.cat([layer.weight for layer in layers])
    joined = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    joined.weight = nn.Parameter(weight, requires_grad=False)
    return joined


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

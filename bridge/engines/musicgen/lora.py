"""LoRA adapters, merged into the weights as these are read (Hu et al. 2021, arXiv:2106.09685, section 4.1).

A folder as peft saves it: ``adapter_config.json`` and ``adapter_model.safetensors``. peft itself is not needed.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.engines.musicgen.decoder import Floats
from bridge.engines.musicgen.tensors import Tensors
from bridge.errors import EngineUnavailable

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"

_PREFIX = "base_model.model."
_PARTS = {
    ".lora_A.weight": "a",
    ".lora_B.weight": "b",
    ".lora_embedding_A": "embedding_a",
    ".lora_embedding_B": "embedding_b",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
}


class Adapter:
    """One adapter: what it adds to which weights."""

    def __init__(self, folder: Path) -> None:
        """Read the configuration and the names of the weights. Raises EngineUnavailable for what cannot be merged."""
        self._folder = folder
        self._config = _config(folder)
        self._tensors = Tensors([folder / WEIGHTS])
        self._parts: dict[str, dict[str, str]] = {}
        self._replaced: dict[str, str] = {}
        for name in self._tensors:
            self._sort(name)

    @property
    def weights(self) -> list[str]:
        """Names of the weights that it changes."""
        return sorted([*(f"{module}.weight" for module in self._parts), *self._replaced])

    def digest(self) -> str:
        """Name it by its content."""
        scales = json.dumps([self._scale(module) for module in sorted(self._parts)])
        return f"{self._tensors.digest()}:{scales}"

    def merged(self, name: str, weight: Floats) -> Floats:
        """Return the weight of that name, (out, in), with what was learnt. Raises EngineUnavailable."""
        if name in self._replaced:
            replaced = self._tensors.read(self._replaced[name])
            self._check(name, weight, replaced)
            return replaced
        parts = self._parts.get(name.removesuffix(".weight"))
        if parts is None or not name.endswith(".weight"):
            return weight
        module = name.removesuffix(".weight")
        if "embedding_a" in parts:  # (rank, V), (H, rank)
            added = (self._read(parts, "embedding_b") @ self._read(parts, "embedding_a")).T
        else:  # (rank, in), (out, rank)
            added = self._read(parts, "b") @ self._read(parts, "a")
        self._check(name, weight, added)
        merged = weight + np.float32(self._scale(module)) * added
        if "magnitude" in parts:  # DoRA: direction and length apart (Liu et al. 2024, arXiv:2402.09353, section 4)
            length = np.linalg.norm(merged, axis=1, keepdims=True)
            merged *= self._read(parts, "magnitude").reshape(-1, 1) / length
        return np.ascontiguousarray(merged)

    def _sort(self, name: str) -> None:
        plain = name.removeprefix(_PREFIX)
        for ending, part in _PARTS.items():
            if plain.endswith(ending):
                self._parts.setdefault(plain.removesuffix(ending), {})[part] = name
                return
        if "lora_" in plain:
            raise EngineUnavailable(
                f"the adapter in {self._folder} has {name}, which is not understood here: merge it into the model with "
                "peft's merge_and_unload() and save that"
            )
        # what peft trained as a whole
        self._replaced[plain.replace(".modules_to_save", "").replace(".base_layer", "")] = name

    def _read(self, parts: dict[str, str], part: str) -> Floats:
        if part not in parts:
            raise EngineUnavailable(f"the adapter in {self._folder} lacks half of a pair: save it again")
        return self._tensors.read(parts[part])

    def _check(self, name: str, weight: Floats, learnt: Floats) -> None:
        if weight.shape != learnt.shape:
            raise EngineUnavailable(
                f"the adapter in {self._folder} was trained on another model: its {name} is of the size "
                f"{learnt.shape}, this model's {weight.shape}"
            )

    def _scale(self, module: str) -> float:
        rank = _matching(self._config.get("rank_pattern"), module, self._config.get("r", 8))
        alpha = _matching(self._config.get("alpha_pattern"), module, self._config.get("lora_alpha", 8))
        return float(alpha / math.sqrt(rank) if self._config.get("use_rslora") else alpha / rank)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text("utf-8"))
        kind = str(config["peft_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable(
            f"{folder / CONFIG} cannot be read as the configuration of an adapter: save the adapter again"
        ) from error
    if kind != "LORA" or config.get("fan_in_fan_out") or config.get("bias", "none") != "none":
        raise EngineUnavailable(
            f"the adapter in {folder} is not of a kind that is merged here ({kind}): merge "
            "it into the model with peft's merge_and_unload() and save that"
        )
    return config


def _matching(pattern: Any, module: str, default: float) -> float:
    """Return the value of the first pattern that a module's name ends in, as peft does it, else the default."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return float(value)
    return float(default)

"""Which MusicGen models have a name, and what a model name means."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bridge.errors import EngineUnavailable

FACEBOOK_LICENCE: Final = "CC-BY-NC-4.0"
"""Licence of all weights under facebook/musicgen-*."""
DEFAULT_SIZE: Final = "small"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class ModelSize:
    """A published MusicGen."""

    hub_id: str
    megabytes: int
    """About how much is downloaded, in MB (10^6 bytes)."""
    revision: str = "main"
    """Branch or pull request of the hub that has the weights as safetensors."""
    licence: str = FACEBOOK_LICENCE


# The main branches of medium and large hold pickles only. Their safetensors are in the pull requests of the hub's
# own conversion service, next to the same configuration files.
SIZES: Final[dict[str, ModelSize]] = {
    "small": ModelSize("facebook/musicgen-small", 2_400),
    "medium": ModelSize("facebook/musicgen-medium", 8_000, revision="refs/pr/10"),
    "large": ModelSize("facebook/musicgen-large", 13_700, revision="refs/pr/18"),
    "melody": ModelSize("facebook/musicgen-melody", 6_200),
}
"""The sizes a player may name; each also with ``musicgen-`` before it."""

ADAPTER: Final = "adapter_config.json"
"""File that makes a folder one with a LoRA adapter."""

ALIASES: Final[dict[str, str]] = {"base": "medium"}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Where a model comes from: the hub, or a folder; exactly one of the two is set."""

    hub_id: str | None = None
    folder: Path | None = None
    revision: str = "main"
    """Branch, pull request or commit on the hub."""
    megabytes: int | None = None
    """About how much is downloaded, in MB; None when only the hub knows."""
    licence: str | None = None
    """Licence of the weights; None when only their own README can say."""
    adapter: Path | None = None
    """Folder of a LoRA adapter that is merged into the weights."""

    @property
    def name(self) -> str:
        """Hub id or folder, and the adapter's: what a person calls it."""
        return f"{self.hub_id or self.folder}{f'+{self.adapter}' if self.adapter else ''}"

    @property
    def download_name(self) -> str:
        """The shortest name that ``doctor --download`` understands."""
        return next((size for size, model in SIZES.items() if model.hub_id == self.hub_id), self.name)


def resolve_model(name: str | None) -> ModelRef:
    """Tell which model ``name`` means: a size, a hub id or a local folder; nothing = small.

    ``small+./my_adapter`` is a model with a LoRA adapter, and so is a folder that holds nothing but an adapter: its
    configuration names the model.
    No network and no look at the weights: ``weights.missing_files`` says whether a folder is complete.

    Raises EngineUnavailable when the name is none of the three.
    """
    wanted = (name or "").strip() or DEFAULT_SIZE
    base, adapter = split_adapter(wanted)
    if adapter is not None:
        return replace(resolve_model(base), adapter=adapter)
    size = wanted.lower().removeprefix("musicgen-")
    size = ALIASES.get(size, size)
    if size in SIZES:
        return _published(SIZES[size])
    if wanted.isprintable():
        if _looks_like_a_path(wanted) or Path(wanted).is_dir():
            return ModelRef(folder=Path(wanted).expanduser().absolute())
        if _HUB_ID.fullmatch(wanted):
            known = next((model for model in SIZES.values() if model.hub_id == wanted.lower()), None)
            return _published(known) if known else ModelRef(hub_id=wanted, licence=_licence_of(wanted))
    raise EngineUnavailable(
        f"there is no model {wanted!r}: say {', '.join(SIZES)}, a Hugging Face id such as facebook/musicgen-small, "
        "or a folder such as ./my_musicgen",
        sizes=list(SIZES),
    )


def split_adapter(name: str) -> tuple[str, Path | None]:
    """Take the name of a model apart: which weights, and the folder with an adapter for them, if there is one."""
    model, plus, adapter = name.rpartition("+")
    if plus and model and (folder := Path(adapter).expanduser().absolute()).joinpath(ADAPTER).is_file():
        return model, folder
    folder = Path(name).expanduser().absolute()
    if name.isprintable() and (folder / ADAPTER).is_file() and not (folder / "config.json").is_file():
        try:
            base = json.loads((folder / ADAPTER).read_text("utf-8"))["base_model_name_or_path"]
        except (OSError, ValueError, KeyError, TypeError):
            base = None
        if isinstance(base, str) and base and Path(base).expanduser().absolute() != folder:
            return base, folder
    return name, None


def _published(model: ModelSize) -> ModelRef:
    return ModelRef(
        hub_id=model.hub_id, revision=model.revision, megabytes=model.megabytes, licence=model.licence
    )  # fmt: skip


def _licence_of(hub_id: str) -> str | None:
    return FACEBOOK_LICENCE if hub_id.lower().startswith("facebook/musicgen") else None


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or "\\" in name or re.match(r"[A-Za-z]:", name) is not None

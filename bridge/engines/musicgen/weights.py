"""Where the weights are: in a folder, in the Hugging Face cache, or still on the hub.

Knows no torch: ``sample-bridge doctor`` asks here what is on the disk. Only safetensors are ever taken, since loading
a pickle (``pytorch_model.bin``) runs whatever code is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, TypeAlias

from bridge.engines.musicgen.models import ModelRef
from bridge.errors import BridgeError, EngineUnavailable

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all; the first never sinks. May raise to stop the download."""

FILES: Final = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "spiece.model",
    "README.md",  # it states the licence
)
"""What is fetched of a repository."""

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONNECT_SECONDS = 5.0  # a stage without network must hear so soon
_PROBES = 64
_PROBE_BYTES = 4096


def weights_present(ref: ModelRef) -> bool:
    """Say whether the model can be loaded right now. Asks the disk only."""
    return find(ref) is not None


def find(ref: ModelRef) -> Path | None:
    """Return the folder on this machine that has all of the model, or None. Asks the disk only."""
    return next((folder for folder in _places(ref) if not missing_files(folder)), None)


def local_folder(ref: ModelRef) -> Path:
    """Return the folder that ``ref`` names, for a model that is not from the hub.

    Raises EngineUnavailable, saying what is missing in it and what to do.
    """
    if ref.folder is None:
        raise ValueError(f"{ref.name} is on the hub, not in a folder")
    if not ref.folder.is_dir():
        raise EngineUnavailable(f"the model folder {ref.folder} does not exist: point BRIDGE_MODEL at a folder with "
                                "config.json and model.safetensors, or at a size such as small")  # fmt: skip
    missing = missing_files(ref.folder)
    if not missing:
        return ref.folder
    pickles = sorted(path.name for path in ref.folder.glob("*.bin"))
    if pickles and any(file.endswith(".safetensors") for file in missing):
        raise EngineUnavailable(
            f"the model folder {ref.folder} has its weights only as a pickle ({pickles[0]}), which could run any code "
            "when it is loaded: save the model again with save_pretrained(folder, safe_serialization=True)",
            missing=missing,
        )
    raise EngineUnavailable(
        f"the model folder {ref.folder} lacks {', '.join(missing)}: copy the whole folder of a MusicGen that was saved "
        "with save_pretrained (model and tokenizer), or set BRIDGE_MODEL=small",
        missing=missing,
    )


def missing_files(folder: Path) -> list[str]:
    """Name what a folder lacks to be loaded: configuration, tokenizer, weights; a cut-off file counts as missing."""
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
        missing.append("tokenizer.json")
    return missing + [name for name in _weight_files(folder) if not _is_whole(folder / name)]


def revision(folder: Path) -> str:
    """Name the weights in ``folder``: the hub's commit, else a digest of configuration and weights; 12 hex digits.

    The digest reads each file's size and 64 blocks spread over it, so that gigabytes take milliseconds: tuning a
    model changes all of its weights.
    """
    if _COMMIT.fullmatch(folder.name):
        return folder.name[:12]
    digest = hashlib.sha256()
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    for name in _weight_files(folder):
        size = (folder / name).stat().st_size
        digest.update(f"{name} {size}".encode())
        with (folder / name).open("rb") as file:
            for probe in range(_PROBES):
                file.seek(size * probe // _PROBES)
                digest.update(file.read(_PROBE_BYTES))
    return digest.hexdigest()[:12]


def download(ref: ModelRef, on_progress: Progress) -> Path:
    """Fetch a model from the hub into the Hugging Face cache and return its folder; a broken download continues.

    ``on_progress`` hears the full size before the first byte comes.

    Raises EngineUnavailable when the hub cannot be reached, has no such model, or has it only as a pickle.
    """
    if ref.hub_id is None:
        return local_folder(ref)
    try:
        return _download(ref.hub_id, ref.revision, on_progress)
    except (BridgeError, ImportError):
        raise
    except Exception as error:  # httpx's errors have no common root with the hub's
        raise _sentence(ref, error) from error


def _download(hub_id: str, hub_revision: str, on_progress: Progress) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    # asked first, with a short patience: it says the size, and whether there is anything that we would load
    there = HfApi().model_info(hub_id, revision=hub_revision, timeout=_CONNECT_SECONDS, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in there.siblings or () if _is_wanted(file.rfilename)}
    if not any(name.endswith(".safetensors") for name in sizes):
        raise EngineUnavailable(
            f"{hub_id} has no weights as safetensors, and pickles are not loaded: convert it with transformers "
            "and point BRIDGE_MODEL at the folder"
        )
    meter = _Meter(on_progress, sum(sizes.values()))
    folder = Path(
        snapshot_download(
            hub_id,
            revision=hub_revision,
            allow_patterns=list(sizes),
            etag_timeout=_CONNECT_SECONDS,
            tqdm_class=meter.bar_class(),
        )
    )
    missing = missing_files(folder)
    if missing:
        raise EngineUnavailable(f"the download of {hub_id} came without {', '.join(missing)}: try it again")
    meter.full()
    return folder


def _is_wanted(name: str) -> bool:
    return "/" not in name and any(fnmatch(name, pattern) for pattern in FILES)


class _Meter:
    """Turns the hub's progress bars into one number that never sinks."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0
        on_progress(0, total)

    def seen(self, done: float) -> None:
        if min(int(done), self._total) > self._done:
            self._done = min(int(done), self._total)
            self._on_progress(self._done, self._total)

    def full(self) -> None:
        self.seen(self._total)

    def bar_class(self) -> type[Any]:
        from tqdm.std import tqdm  # type: ignore[import-untyped, unused-ignore]

        meter = self

        class Bar(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
            """Draws nothing. One bar counts files; of those that count bytes the furthest is heard."""

            def display(self, *_: object, **__: object) -> bool:
                return True

            def update(self, n: float | None = 1) -> bool | None:
                self.n += n or 0
                if self.unit == "B":
                    meter.seen(self.n)
                return None

            def refresh(self, *_: object, **__: object) -> bool:
                return True

        return Bar


def _sentence(ref: ModelRef, error: Exception) -> EngineUnavailable:
    from huggingface_hub import errors

    if isinstance(error, errors.RevisionNotFoundError | errors.RepositoryNotFoundError):  # also gated and private ones
        return EngineUnavailable(
            f"huggingface.co shows no model {ref.name} to us: check the spelling, and for a private or gated one log "
            "in with `hf auth login`"
        )
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return EngineUnavailable(
            f"the weights of {ref.name} could not be written: {error.strerror or error}; make room (or set HF_HOME to "
            "a larger disk) and try again"
        )
    return EngineUnavailable(
        f"the weights of {ref.name} are not on this machine and huggingface.co cannot be reached: connect once and "
        f"run `sample-bridge doctor --download {ref.download_name}`, or point BRIDGE_MODEL at a folder",
        reason=f"{type(error).__name__}: {error}"[:300],
    )


def _places(ref: ModelRef) -> Iterator[Path]:
    """Folders where the model may be."""
    if ref.folder is not None:
        yield ref.folder
    if ref.hub_id is None:
        return
    for hub_revision in dict.fromkeys((ref.revision, "main")):
        folder = _cache() / f"models--{ref.hub_id.replace('/', '--')}"
        try:
            commit = (folder / "refs" / hub_revision).read_text().strip()
        except OSError:
            continue
        if (folder / "snapshots" / commit / "config.json").is_file():
            yield folder / "snapshots" / commit


def _cache() -> Path:
    """The Hugging Face cache. Its layout is documented; importing the hub's library takes 32 MB, to look at a file."""
    if "huggingface_hub" in sys.modules:
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or Path(home) / "hub"
    return Path(named).expanduser()


def _weight_files(folder: Path) -> list[str]:
    """Names of the files that hold the weights: those of the index, or the single one."""
    if not (folder / _INDEX).is_file() or (folder / _SINGLE).is_file():
        return [_SINGLE]
    try:
        names = set(json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return [_INDEX]
    # a file outside the folder is none of the model's
    return sorted(Path(str(name)).name for name in names)


def _is_whole(path: Path) -> bool:
    """Say whether a file is there with its full length.

    A safetensors file begins with the length of its header (8 bytes, little endian) and the header, JSON that names
    where each tensor ends: https://huggingface.co/docs/safetensors/index#format. A Git LFS pointer fails here too.
    """
    if not path.is_file():
        return False
    if path.suffix != ".safetensors":
        return False  # an index that cannot be read
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= path.stat().st_size - 8:
            return False
        try:
            header = json.loads(file.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
    return bool(ends) and path.stat().st_size == 8 + length + max(ends)

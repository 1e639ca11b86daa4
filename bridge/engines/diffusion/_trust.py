"""What a pipeline's folder may not hold: code. diffusers runs a component's own ``.py`` file without asking.

Only files are looked at here, before any library opens them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from bridge.errors import EngineUnavailable

_LIBRARIES: Final = frozenset({"diffusers", "transformers", "stable_audio", "stable_audio_3", "audioldm2", "ace_step"})
"""Where components come from: libraries, and modules below diffusers' pipelines."""
_PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def refuse_code(folder: Path, pipelines: Iterable[str] = ()) -> None:
    """Raise EngineUnavailable for a folder that holds code that would be run, names some, or has just pickled weights.

    ``pipelines``: further modules below diffusers' pipelines that a component may come from.
    """
    allowed = _LIBRARIES.union(pipelines)
    for name, component in _components(folder).items():
        code = next((folder / name).rglob("*.py"), None) if name.isidentifier() else None
        if code is not None:
            raise _refused(folder, f"{code.relative_to(folder)} is code")
        if not isinstance(component, list) or component == [None, None]:
            continue
        library = component[0] if component else None
        if library not in allowed or len(component) != 2 or not str(component[1]).isidentifier():
            raise _refused(folder, f"its {name} is to come from '{str(library)[:60]}'")
    for place in (folder, *(each for each in sorted(folder.iterdir()) if each.is_dir())):
        files = sorted(each.name for each in place.iterdir())
        pickle = next((each for each in files if each.endswith(_PICKLES)), None)
        if pickle is not None and not any(each.endswith(".safetensors") for each in files):
            raise EngineUnavailable(
                f"{place} has its weights only as a pickle ({pickle}), which could run any code when it is opened: "
                "save the model again as safetensors."
            )


def _components(folder: Path) -> dict[str, Any]:
    try:
        document = json.loads((folder / "model_index.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refused(folder: Path, why: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{folder} is not loaded: {why}, and code that comes with a model is not run. Take a model without it."
    )

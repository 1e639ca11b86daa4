# SPDX-License-Identifier: Apache-2.0
"""Old names of modules: what the documentation taught continues for two versions, any other names its new place."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

TAUGHT: Final = {"bridge.audio.clip": "bridge.plugins.clip", "bridge.engines._base": "bridge.plugins.engine"}
"""Paths that docs/engines.md taught. They go in version 0.3."""

_MOVED: Final = (
    ("bridge.engines", "bridge.system", "_lifeline>lifeline"),
    (
        "bridge",
        "bridge.sounds",
        "service making placing library facts slicing prompt_filter pregeneration requests>orders",
    ),
    ("bridge.realtime", "bridge.stage", "sessions"),
    ("bridge", "bridge.exchange", "uploads similar>likeness callbacks storage>object_storage status>job_status stems"),
    (
        "bridge.stems",
        "bridge.exchange.stems",
        "_worker>worker _request>plan _ledger>ledger _leader>leader _forgetting>forgetting",
    ),
    ("bridge", "bridge.monitoring", "metrics usage>usage_log gpu"),
    ("bridge", "bridge.client", "model server_file"),
    ("bridge.commands", "bridge.client", "_makers>maker _client>server _local>local _wishes>wishes"),
    ("bridge.api", "bridge.api.security", "guard connection"),
    ("bridge.api", "bridge.api.description", "openapi operations asyncapi docs shapes"),
    (
        "bridge.audio",
        "bridge.audio.analysis",
        "onset pitch key grid _bars _spectrum>spectrum measures features loudness slicing evaluation>figures",
    ),
    (
        "bridge.audio",
        "bridge.audio.files",
        "codecs dither tags riff _id3 _ogg _vorbis>tags provenance c2pa_signing reader files>delivery",
    ),
    (
        "bridge.audio",
        "bridge.audio.finishing",
        "steps take level loop texture seam length dc stretch _wsola slices resample finishing>chains quality>gate",
    ),
    (
        "bridge.engines",
        "bridge.engines.hosting",
        ("host hosted>client pool room>engines _framing>framing candidates>best_of mending passages sources"),
    ),
    ("bridge.engines", "bridge.engines.cloud", "endpoint replicate _cloud>keys _http>http _answers>answers spending"),
    ("bridge.engines", "bridge.plugins", "_base>engine _notes>engine"),
    ("bridge.engines.musicgen.decoder", "bridge.engines.musicgen.decoder", "_base>interface _drawing>drawing"),
    ("bridge.jobs", "bridge.jobs", "_job>job _queue>queue"),
    ("bridge", "bridge.rights", "access>keys"),
    ("bridge.audio", "bridge.plugins", "clip"),
)
"""Old package, new package, and the modules, as ``old>new`` where the name changed."""


def new_places() -> dict[str, str]:
    """The new name of every module that has moved and was not taught, by its old name."""
    return {
        f"{old}.{names[0]}": f"{new}.{names[-1]}"
        for old, new, modules in _MOVED
        for names in (module.split(">") for module in modules.split())
    }


class MovedFinder(MetaPathFinder):
    """Asked last, for modules that no other finder has found."""

    def __init__(self) -> None:
        self._moved = new_places()

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Find a module that was taught under this name, with a DeprecationWarning.

        Raises ImportError, which says where it is now, for any other that has moved.
        """
        if (new := TAUGHT.get(fullname)) is not None:
            warnings.warn(f"{fullname} is now {new}; the old name goes in version 0.3.", DeprecationWarning, 2)
            return ModuleSpec(fullname, _SameNames(new))
        if (new := self._moved.get(fullname)) is not None:
            raise ImportError(f"{fullname} is now {new}.", name=fullname)
        return None


class _SameNames(Loader):
    """Fills a module with the names of another one."""

    def __init__(self, new: str) -> None:
        self._new = new

    def exec_module(self, module: ModuleType) -> None:
        found = vars(import_module(self._new))
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})

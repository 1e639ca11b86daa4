# SPDX-License-Identifier: Apache-2.0
"""What plug-ins import: clips, engines, audio processors, specs. Nothing here knows the rest of the project.

``bridge/__init__.py`` and this folder are Apache-2.0, everything else is AGPL-3.0-or-later. The names are loaded when
they are first used, so that the server gets by without numpy.
"""

from importlib import import_module

_HOMES = {
    "AudioProcessor": "processor",
    "Clip": "clip",
    "ConditionedEngine": "engine",
    "Engine": "engine",
    "EngineInfo": "engine",
    "FillingEngine": "engine",
    "KnowsItsNote": "engine",
    "Report": "engine",
    "SourceUse": "spec",
    "Spec": "spec",
    "in_background": "engine",
    "remark": "engine",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bridge.plugins' has no attribute {name!r}")
    return getattr(import_module(f"bridge.plugins.{home}"), name)

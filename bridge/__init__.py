# SPDX-License-Identifier: Apache-2.0
"""Makes sounds and brings them to the people who play them.

From Python: ``MusicGenModel``, ``create_musicgen_model``, ``save_audio_file`` and ``AudioProcessor``, loaded when they
are first used.
"""

import sys
from importlib import import_module

from bridge.plugins.moved import MovedFinder

__version__ = "0.1.0"
__all__ = ["AudioProcessor", "MusicGenModel", "create_musicgen_model", "save_audio_file"]

_HOMES = {
    "AudioProcessor": "bridge.plugins.processor",
    "MusicGenModel": "bridge.client.model",
    "create_musicgen_model": "bridge.client.model",
    "save_audio_file": "bridge.client.model",
}

if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
    sys.meta_path.append(MovedFinder())


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    return getattr(import_module(home), name)

"""Makes sounds and brings them to the people who play them.

From Python: ``MusicGenModel``, ``create_musicgen_model``, ``save_audio_file`` and ``AudioProcessor``, loaded when they
are first used.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["AudioProcessor", "MusicGenModel", "create_musicgen_model", "save_audio_file"]

_HOMES = {
    "AudioProcessor": "bridge.audio.processors",
    "MusicGenModel": "bridge.model",
    "create_musicgen_model": "bridge.model",
    "save_audio_file": "bridge.model",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    return getattr(import_module(home), name)

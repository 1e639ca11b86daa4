"""What sort of sample is wanted."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Decides how a clip is cut into a sample."""

    ONESHOT = "oneshot"
    """One hit, trimmed to its onset."""
    LOOP = "loop"
    """Exactly N bars, on the grid."""
    TEXTURE = "texture"
    """Seamless, no grid."""
    PITCHED = "pitched"
    """A one-shot with a root note, playable with ``note()``."""
    STEM = "stem"
    """A longer part, exactly as long as asked for."""
    RAW = "raw"
    """As the engine made it."""

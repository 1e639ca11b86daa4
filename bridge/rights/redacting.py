"""What a caller is told that may not know others' words and jobs: the same messages, with those places empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bridge.rights.caller import current_caller

M = TypeVar("M", bound=Mapping[str, Any])


def for_caller(told: M) -> M:
    """Take the words out of a sound's message, facts or provenance unless the current caller may know them."""
    return without_words(told) if current_caller().secluded else told


def without_words(told: M) -> M:
    """Empty ``prompt``, and that of the spec inside; whatever else is there stays."""
    found: dict[str, Any] = dict(told)
    if "prompt" in found:
        found["prompt"] = ""
    for inner in ("spec", "parameters"):
        if isinstance(found.get(inner), Mapping) and "prompt" in found[inner]:
            found[inner] = {**found[inner], "prompt": ""}
    return found  # type: ignore[return-value]  # of the same shape


def blank_job(message: Mapping[str, Any]) -> dict[str, Any]:
    """A numbered job message that says nothing but its number, so that a client does not believe that it missed one."""
    return {
        "seq": message["seq"],
        "job_id": "",
        "spec_id": "",
        "name": "",
        "n": None,
        "state": "completed",
        "progress": 1.0,
        "eta_s": 0.0,
        "session": None,
    }

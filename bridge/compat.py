"""The variables that users of older programs have set already, mapped onto our settings by one table.

A variable that is not set has no effect: its old program's default is not ours. Where several name one setting the
first one found wins, our own before any alias, the environment before ``.env``; two that disagree give one warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "BRIDGE_"


@dataclass(frozen=True, slots=True)
class Alias:
    """One old variable of one setting."""

    variable: str
    convert: Callable[[str], Any] = str
    """Turns the text into our value; ValueError leaves the text as it is, for the setting itself to refuse."""
    same_meaning: bool = True
    """False when the old variable means something else as well, so that a different value is not a disagreement."""


@dataclass(frozen=True, slots=True)
class Compat:
    """What a set of variables says about the aliased settings."""

    values: dict[str, Any]
    """Setting -> value, converted but not validated; the aliased settings' own BRIDGE_* variables take part."""
    notes: list[str]
    """Sentences for the log: disagreements, and old variables without effect."""
    sources: dict[str, str]
    """Setting -> the variable that won."""
    levels: dict[str, int]
    """Setting -> index of the level (0: the first mapping given) in which that variable stood."""


def _truth(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on", "y", "t"}:
        return True
    if lowered in {"0", "false", "no", "off", "n", "f"}:
        return False
    raise ValueError(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(text)
    return seconds


def _device(text: str) -> str:
    return "cuda" if _truth(text) else "cpu"


# MAX_DURATION is the generation limit (120) in one program and the upload limit (300) in another. These two readings
# let both documented values mean what their documents say.
def _generation_limit(text: str) -> float:
    return min(_seconds(text), 120.0)


def _upload_limit(text: str) -> float:
    return max(_seconds(text), 300.0)


ALIASES: Mapping[str, tuple[Alias, ...]] = {
    "model": (Alias("MUSICGEN_MODEL"), Alias("GENERATION_MODEL"), Alias("MUSICGEN_MODEL_SIZE")),
    "device": (Alias("MUSICGEN_DEVICE"), Alias("DEVICE"), Alias("USE_GPU", _device)),
    "port": (Alias("MUSICGEN_PORT"),),
    "mock_generation": (Alias("MOCK_GENERATION", _truth),),
    "workers": (Alias("WORKERS"),),
    "max_concurrent_jobs": (Alias("MAX_CONCURRENT_JOBS"),),
    "max_duration": (Alias("MAX_DURATION", _generation_limit, same_meaning=False),),
    "max_upload_duration": (Alias("MAX_DURATION", _upload_limit, same_meaning=False),),
    "max_upload_bytes": (Alias("MAX_FILE_SIZE"),),
    "hf_token": (Alias("HUGGINGFACE_API_KEY"), Alias("HF_TOKEN")),
    "replicate_token": (Alias("REPLICATE_API_TOKEN"),),
    "azure_connection_string": (Alias("AZURE_STORAGE_CONNECTION_STRING"),),
    "azure_account_url": (Alias("AZURE_STORAGE_ACCOUNT_URL"),),
    "storage_container": (Alias("BLOB_CONTAINER_NAME"),),
}
"""Setting -> its old variables, the first found wins."""

WITHOUT_EFFECT: Mapping[str, str] = {
    "REDIS_URL": "jobs stay in this process until the cluster extra is installed",
    "EMBEDDING_MODEL": "embeddings are not built yet",
}
"""Old variables that are understood but change nothing here, and why."""

_SIZES = {"base": "medium"} | {size: size for size in ("small", "medium", "large", "melody")}


@dataclass(frozen=True, slots=True)
class _Found:
    variable: str
    value: Any
    level: int
    same_meaning: bool


def apply(*levels: Mapping[str, str]) -> Compat:
    """Read the aliased settings out of ``levels``, the strongest first (the environment, then ``.env``).

    Within a level a setting's own BRIDGE_* variable stands before its aliases. Empty variables count as not set.
    Nothing outside the arguments is read or changed.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    where: dict[str, int] = {}
    notes: list[str] = []
    for field in ALIASES:
        found = _find(field, levels)
        if not found:
            continue
        values[field], sources[field], where[field] = found[0].value, found[0].variable, found[0].level
        if note := _disagreement(field, found):
            notes.append(note)
    for variable, why in WITHOUT_EFFECT.items():
        if any(level.get(variable) for level in levels):
            notes.append(f"{variable} is set and has no effect: {why}.")
    return Compat(values, notes, sources, where)


def _find(field: str, levels: tuple[Mapping[str, str], ...]) -> list[_Found]:
    found: dict[str, _Found] = {}
    for number, level in enumerate(levels):
        for alias in (Alias(PREFIX + field.upper()), *ALIASES[field]):
            text = level.get(alias.variable, "")
            if text and alias.variable not in found:  # .env may repeat what the environment overrides
                found[alias.variable] = _Found(alias.variable, _converted(alias, text), number, alias.same_meaning)
    return list(found.values())


def _converted(alias: Alias, text: str) -> Any:
    try:
        return alias.convert(text)
    except ValueError:
        return text


def _disagreement(field: str, found: list[_Found]) -> str | None:
    """Name the first variable that says something else than the winner; never a value, it may be a secret."""
    winner = found[0]
    for other in found[1:]:
        comparable = winner.same_meaning and other.same_meaning
        if comparable and _comparable(field, other.value) != _comparable(field, winner.value):
            return (
                f"{winner.variable} and {other.variable} both set '{field}' and disagree: {winner.variable} is used. "
                f"Remove one of them."
            )
    return None


def _comparable(field: str, value: Any) -> str:
    text = str(value).strip()
    if field == "model":
        size = text.lower().removeprefix("facebook/").removeprefix("musicgen-")
        return _SIZES.get(size, text)
    return text.lower() if field in {"device", "mock_generation"} else text

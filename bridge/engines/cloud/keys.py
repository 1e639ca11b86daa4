"""What an engine that asks another computer has to be told, and how it gets from the settings into its process.

The server's process imports this file: no audio here. Tokens travel in the environment of the child, never in its
arguments, which everybody on the machine can read.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import EngineUnavailable

if TYPE_CHECKING:
    from bridge.settings import Settings
    from prompts import SampleSpec

VARIABLE: Final = "SAMPLE_BRIDGE_CLOUD"
"""In the environment of an engine's process: JSON, the options of each engine by its name."""
CLOUD: Final = ("endpoint", "replicate")
REPLICATE_API: Final = "https://api.replicate.com/v1"
_PLACE: Final = re.compile(r"\$(prompt|seconds|whole_seconds|seed|bpm|key|temperature|top_k|top_p|guidance)\b")


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """How one engine reaches its provider."""

    address: str | None = None
    """Web address that is asked."""
    model: str | None = None
    """Which model, as the provider names it."""
    token: str | None = field(default=None, repr=False)
    body: str | None = None
    """JSON that is sent, with places such as "$prompt"; see ``filled``. None: the engine's own."""
    price: float = 0.0
    """What one second of the provider's work costs."""
    daily_limit: float = 0.0
    """What may be spent in a day (UTC); 0 means no limit."""
    patience: float = 300.0
    """Seconds for one sound, waiting in the provider's line included."""


def environment(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Variables for the process of an engine that asks these providers; empty when it asks none."""
    common: dict[str, Any] = {
        "price": settings.cloud_price,
        "daily_limit": settings.cloud_daily_limit,
        "patience": settings.cloud_timeout,
    }
    known = {
        "endpoint": CloudOptions(
            address=settings.endpoint_url,
            token=settings.secret_for("endpoint_url", "hf_token"),
            body=settings.endpoint_body,
            **common,
        ),
        "replicate": CloudOptions(
            address=settings.replicate_url or REPLICATE_API,
            model=settings.replicate_model,
            token=settings.secret_for("replicate_url", "replicate_token"),
            body=settings.replicate_input,
            **common,
        ),
    }
    wanted = {name: asdict(known[name]) for name in names if name in known}
    return {VARIABLE: json.dumps(wanted)} if wanted else {}


def options_of(name: str) -> CloudOptions:
    """What this process was told about one engine."""
    told = json.loads(os.environ.get(VARIABLE, "{}")).get(name)
    return CloudOptions(**told) if told else CloudOptions()


@contextlib.contextmanager
def told(settings: Settings) -> Iterator[None]:
    """Let this process know inside what the processes of engines are told; for those that only look."""
    before = os.environ.get(VARIABLE)
    os.environ.update(environment(settings, CLOUD))
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


def template(text: str | None, default: Mapping[str, Any], setting: str) -> Any:
    """Read the JSON of a setting, or take the default. Raises EngineUnavailable when it is none."""
    if text is None:
        return dict(default)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise EngineUnavailable(f'{setting} is not JSON ({error}). Write it like {{"inputs": "$prompt"}}.') from None
    if not isinstance(document, dict):
        raise EngineUnavailable(f'{setting} must be a JSON object, such as {{"inputs": "$prompt"}}.')
    return document


def filled(document: Any, spec: SampleSpec, seconds: float) -> Any:
    """Put the values of ``spec`` into the places of ``document``.

    A text that is one place becomes the value itself, a number where it is one; in a longer text it is written out.
    What the spec leaves open takes its member away. ``$whole_seconds`` is ``$seconds`` rounded up.
    """
    values = {
        "prompt": spec.prompt,
        "seconds": round(seconds, 3),
        "whole_seconds": max(1, math.ceil(seconds - 1e-6)),
        "seed": spec.seed,
        "bpm": spec.bpm,
        "key": spoken_key(spec.key),
        "temperature": spec.temperature,
        "top_k": spec.top_k,
        "top_p": spec.top_p,
        "guidance": spec.guidance,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: new for name, old in value.items() if (new := fill(old)) is not None}
        if isinstance(value, list):
            return [new for old in value if (new := fill(old)) is not None]
        if not isinstance(value, str):
            return value
        if (only := _PLACE.fullmatch(value)) is not None:
            return values[only[1]]
        return _PLACE.sub(lambda found: "" if values[found[1]] is None else str(values[found[1]]), value)

    return fill(document)


def spoken_key(key: str | None) -> str | None:
    """``f#m`` as ``F# minor``."""
    if key is None:
        return None
    root = key.removesuffix("m")
    return f"{root[0].upper()}{root[1:]} {'minor' if key.endswith('m') else 'major'}"

"""Which engines there are: everything that registers in the entry point group ``bridge.engines``, ours included."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from bridge.errors import EngineUnavailable
from bridge.plugins.engine import Engine

GROUP = "bridge.engines"

EngineFactory = Callable[..., Engine]


def names() -> list[str]:
    """Names of all registered engines, sorted."""
    return sorted(_entries())


def load(name: str) -> EngineFactory:
    """Import the class or factory of an engine.

    Raises EngineUnavailable for an unknown name and for one whose module cannot be imported.
    """
    entry = _entries().get(name)
    if entry is None:
        raise EngineUnavailable(
            f"There is no engine '{name}'. Installed: {', '.join(names())}.", code="unknown_engine", engine=name
        )
    try:
        return cast(EngineFactory, entry.load())
    except Exception as error:
        raise EngineUnavailable(
            f"Engine '{name}' cannot be loaded ({error}). Run `sample-bridge doctor` to see what it lacks.", engine=name
        ) from error


def build(name: str, **options: Any) -> Engine:
    """Make an engine ready to work; weights may be loaded here. Raises EngineUnavailable."""
    engine = load(name)(**options)
    if not isinstance(engine, Engine):
        raise EngineUnavailable(
            f"Engine '{name}' is not an engine: it lacks `info` or `stream` (see docs/engines.md).", engine=name
        )
    return engine


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}

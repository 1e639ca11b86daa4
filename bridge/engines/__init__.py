"""Engines make clips from specs, each in a child process. ``bridge/plugins/engine.py`` says what an engine is."""

import warnings

_TAUGHT = ("ConditionedEngine", "Engine", "EngineInfo", "FillingEngine", "Report", "in_background", "remark")
"""Names that docs/engines.md had from here until 0.1; they go in version 0.3."""


def __getattr__(name: str) -> object:
    if name not in _TAUGHT:
        raise AttributeError(f"module 'bridge.engines' has no attribute {name!r}")
    warnings.warn(f"{name} is in bridge.plugins now; bridge.engines loses it in version 0.3.", DeprecationWarning, 2)
    from bridge.plugins import engine

    return getattr(engine, name)

"""Engines make clips from specs; each runs in a child process, the host."""

from bridge.engines._base import ConditionedEngine, Engine, EngineInfo, FillingEngine, Report, in_background, remark

__all__ = ["ConditionedEngine", "Engine", "EngineInfo", "FillingEngine", "Report", "in_background", "remark"]

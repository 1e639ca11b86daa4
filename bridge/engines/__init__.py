"""Engines make clips from specs; each runs in a child process, the host."""

from bridge.engines._base import Engine, EngineInfo, Report

__all__ = ["Engine", "EngineInfo", "Report"]

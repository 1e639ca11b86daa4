"""What an application carries, by typed keys."""

from __future__ import annotations

from aiohttp import web

from bridge.metrics import Metrics
from bridge.rights import Callers
from bridge.service import SampleService
from bridge.settings import Settings
from bridge.snapshots import Snapshots
from bridge.streaming import Streams
from bridge.turns import Turns

SETTINGS = web.AppKey("settings", Settings)
SERVICE = web.AppKey("service", SampleService)
STREAMS = web.AppKey("streams", Streams)
CALLERS = web.AppKey("callers", Callers)
METRICS = web.AppKey("metrics", Metrics)
SNAPSHOTS = web.AppKey("snapshots", Snapshots)
TURNS = web.AppKey("turns", Turns)

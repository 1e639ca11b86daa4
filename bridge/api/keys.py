"""What an application carries, by typed keys."""

from __future__ import annotations

from aiohttp import web

from bridge.monitoring.metrics import Metrics
from bridge.rights import Callers
from bridge.sets import SetStore
from bridge.settings import Settings
from bridge.sounds.service import SampleService
from bridge.sounds.snapshots import Snapshots
from bridge.sounds.turns import Turns
from bridge.stage.stage import Stage
from bridge.streaming import Streams

SETTINGS = web.AppKey("settings", Settings)
SERVICE = web.AppKey("service", SampleService)
STAGE = web.AppKey("stage", Stage)
STREAMS = web.AppKey("streams", Streams)
CALLERS = web.AppKey("callers", Callers)
METRICS = web.AppKey("metrics", Metrics)
SNAPSHOTS = web.AppKey("snapshots", Snapshots)
SETS = web.AppKey("sets", SetStore)
TURNS = web.AppKey("turns", Turns)
ROUTE_TABLE = web.AppKey("route_table", tuple[web.RouteDef, ...])

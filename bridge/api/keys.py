"""What an application carries, by typed keys."""

from __future__ import annotations

from aiohttp import web

from bridge.metrics import Metrics
from bridge.rights import Callers
from bridge.service import SampleService
from bridge.settings import Settings
from bridge.streaming import Streams

SETTINGS = web.AppKey("settings", Settings)
SERVICE = web.AppKey("service", SampleService)
STREAMS = web.AppKey("streams", Streams)
CALLERS = web.AppKey("callers", Callers)
METRICS = web.AppKey("metrics", Metrics)

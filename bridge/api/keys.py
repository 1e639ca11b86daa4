"""What an application carries, by typed keys."""

from __future__ import annotations

from aiohttp import web

from bridge.metrics import Metrics
from bridge.service import SampleService
from bridge.settings import Settings

SETTINGS = web.AppKey("settings", Settings)
SERVICE = web.AppKey("service", SampleService)
METRICS = web.AppKey("metrics", Metrics)

"""What the bridge counts and measures of itself, for Prometheus.

Names end in their unit. Labels have few values: states, routes as they are written in the code, engines, models; never
a keyword, a prompt or an id.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.errors import BridgeError, InvalidRequest
from bridge.jobs import TERMINAL, Job, State
from bridge.jobs.happenings import Asked, Begun, Ended, Happening, SoundRemoved
from bridge.monitoring.gpu import read_gpus
from bridge.sounds.service import SampleService
from bridge.system.threads import SERVING

disable_created_metrics()  # type: ignore[no-untyped-call]  # they add a second line to each figure, which is not needed

LAG_SECONDS = 1.0
"""How often the event loop's lag is looked at."""
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Metrics:
    """The instruments of one application. They listen to the service; HTTP and push report what they alone know."""

    def __init__(self, service: SampleService) -> None:
        self._service = service
        self.registry = registry = CollectorRegistry()
        self._http_seconds = Histogram(
            "bridge_http_request_duration_seconds", "Time from a request's head to its answer",
            ("route", "method", "code"), buckets=_QUICK, registry=registry,
        )  # fmt: skip
        # Found by one look: every answer comes by here.
        self._timers: dict[tuple[str, str, int], Histogram] = {}
        self.job_wait_seconds = Histogram(
            "bridge_job_wait_seconds", "Time that a job waited in the queue", buckets=_LONG, registry=registry
        )
        self.job_seconds = Histogram(
            "bridge_job_duration_seconds", "Time that a job took once it had started",
            ("engine", "model"), buckets=_LONG, registry=registry,
        )  # fmt: skip
        self.results = Counter("bridge_job_results", "Jobs by how they ended", ("result",), registry=registry)
        self.joined = Counter("bridge_single_flight_joined", "Requests that joined a job", registry=registry)
        self.cache_hits = Counter("bridge_cache_hits", "Requests whose sound was kept already", registry=registry)
        self.cache_misses = Counter("bridge_cache_misses", "Requests that needed a job", registry=registry)
        self.evictions = Counter("bridge_cache_evictions", "Sounds that were evicted to make room", registry=registry)
        self.bad_requests = Counter(
            "bridge_bad_requests", "Requests and messages that could not be understood",
            ("door", "code"), registry=registry,
        )  # fmt: skip
        self.wrong_keys = Counter("bridge_wrong_keys", "Wrong keys that were sent", ("door",), registry=registry)
        self.streams = Gauge("bridge_streams", "Streams that play", registry=registry)
        self.push_seconds = Histogram(
            "bridge_push_duration_seconds", "Time from an event until it was handed to every page",
            ("event",), buckets=_QUICK, registry=registry,
        )  # fmt: skip
        self.dropped = Counter(
            "bridge_push_dropped_clients", "Clients that were cut off", ("reason",), registry=registry
        )
        self.resync_events = Counter(
            "bridge_resync_events", "Events that pages had missed and were sent again", registry=registry
        )
        self.loop_lag = Gauge(
            "bridge_event_loop_lag_seconds", "How late the event loop came to its last timer", registry=registry
        )
        for result in sorted(TERMINAL):
            self.results.labels(result)
        build = Gauge("bridge_build_info", "The running version", ("version",), registry=registry)
        build.labels(__version__).set(1)
        ProcessCollector(registry=registry)
        registry.register(_Standing(service))
        service.happenings.subscribe(self._on_happening)

    def attach(self, app: web.Application) -> None:
        """Measure the event loop while ``app`` runs."""
        app.cleanup_ctx.append(self._measure_lag)

    def wrong_key(self, door: str) -> None:
        """A wrong key was sent."""
        self.wrong_keys.labels(door).inc()

    async def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        library = self._service.library
        disk = shutil.disk_usage
        now = CollectorRegistry()
        usage = await SERVING.run(disk, self._service.settings.data_dir)
        Gauge("bridge_disk_free_bytes", "Free space where the sounds are kept", registry=now).set(usage.free)
        Gauge("bridge_sounds", "Sounds that are kept", registry=now).set(await library.count())
        Gauge("bridge_cache_bytes", "Bytes of the sounds that are kept", registry=now).set(await library.size())
        jobs = Gauge("bridge_jobs", "Jobs that have not ended", ("state",), registry=now)
        for state in (State.QUEUED, State.RUNNING):
            jobs.labels(str(state)).set(await self._service.queue.count(state))
        load = Gauge("bridge_device_load_ratio", "How busy a device is, 1 is fully", ("device",), registry=now)
        memory = Gauge("bridge_gpu_memory_bytes", "Memory of a GPU in use", ("device",), registry=now)
        whole = Gauge("bridge_gpu_memory_total_bytes", "Memory of a GPU", ("device",), registry=now)
        load.labels("cpu").set(os.getloadavg()[0] / (os.cpu_count() or 1))
        for gpu in await read_gpus():
            load.labels(gpu.name).set(gpu.load)
            memory.labels(gpu.name).set(gpu.used)
            whole.labels(gpu.name).set(gpu.total)
        return generate_latest(self.registry) + generate_latest(now)

    # ------------------------------------------------------------------ listening

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` as it is written in the code."""
        timer = self._timers.get((route, method, status))
        if timer is None:
            timer = self._timers[route, method, status] = self._http_seconds.labels(route, method, str(status))
        timer.observe(seconds)

    def pushed(self, event: str, seconds: float) -> None:
        """An event was handed over to every page."""
        self.push_seconds.labels(event).observe(seconds)

    def refused(self, door: str, error: BridgeError) -> None:
        """A request or message was answered with an error; only what the asker did wrong counts."""
        if isinstance(error, InvalidRequest):
            self.bad_requests.labels(door, error.code).inc()

    def _on_happening(self, happening: Happening) -> None:
        match happening:
            case Asked(_, kept=True):
                self.cache_hits.inc()
            case Asked(ticket):
                self.cache_misses.inc()
                if ticket.joined:
                    self.joined.inc()
            case Begun(job) if job.started is not None:
                self.job_wait_seconds.observe(max(job.started - job.created, 0.0))
            case Ended(job):
                self._on_end(job)
            case SoundRemoved(event) if event.data["why"] == "evicted":
                self.evictions.inc()

    def _on_end(self, job: Job) -> None:
        self.results.labels(str(job.state)).inc()
        if job.started is not None and job.ended is not None:
            model = bare_model(next((spec.model or "" for spec in job.work.specs), ""))
            self.job_seconds.labels(job.lane, model).observe(max(job.ended - job.started, 0.0))

    async def _measure_lag(self, _: web.Application) -> AsyncIterator[None]:
        async def measure() -> None:
            loop = asyncio.get_running_loop()
            while True:
                due = loop.time() + LAG_SECONDS
                await asyncio.sleep(LAG_SECONDS)
                self.loop_lag.set(max(loop.time() - due, 0.0))

        task = asyncio.create_task(measure())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Standing(Collector):
    """What is read off at the moment of asking: the pages, the engines' processes."""

    def __init__(self, service: SampleService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("bridge_socket_clients", "Connected pages", value=self._service.pages())
        memory = GaugeMetricFamily("bridge_engine_memory_bytes", "Memory of an engine's processes", labels=["engine"])
        restarts = CounterMetricFamily(
            "bridge_worker_restarts", "Engine processes that ended by themselves", labels=["engine"]
        )
        hungry = CounterMetricFamily("bridge_oom", "Sounds that failed because memory ran out", labels=["engine"])
        ready = GaugeMetricFamily("bridge_engine_ready", "1 while the engine can make new sounds", labels=["engine"])
        for name, pool in self._service.engines.pools.items():
            memory.add_metric([name], sum(map(_resident, pool.pids)))
            restarts.add_metric([name], pool.restarts)
            hungry.add_metric([name], pool.out_of_memory)
            ready.add_metric([name], float(pool.running))
        yield from (memory, restarts, hungry, ready)


def bare_model(model: str) -> str:
    """A hub id as it is, of a folder its last part: paths are not labels."""
    return Path(model).name if model.startswith((".", "~", "/")) or "\\" in model else model


def _resident(pid: int) -> int:
    """Bytes of memory that a process uses, 0 where that is not known."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0

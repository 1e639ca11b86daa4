"""Figures for Prometheus, read as Prometheus reads them."""

from __future__ import annotations

import asyncio
import re
import stat
from pathlib import Path

import pytest
from aiohttp import WSMsgType
from prometheus_client.parser import text_string_to_metric_families

from bridge.app import create_app
from bridge.jobs import embedded
from bridge.monitoring import gpu
from bridge.monitoring.gpu import Gpu, read_gpus, read_table
from bridge.monitoring.metrics import bare_model
from bridge.sounds.opening import open_service
from bridge.sounds.service import SampleService
from tests.servers import Listener, settings_for, until


@pytest.fixture
async def service(tmp_path: Path):
    async with open_service(settings_for(tmp_path / "data")) as service:
        yield service


@pytest.fixture
async def client(service: SampleService, aiohttp_client):
    return await aiohttp_client(create_app(service))


class Figures:
    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def of(self, name: str, **labels: str) -> float | None:
        found = [each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items()]
        return found[0] if found else None


async def figures(client) -> Figures:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    return Figures(await answer.text())


async def make(client, prompt: str, **more: object) -> int:
    return (await client.post("/generate", json={"prompt": prompt, "duration": 0.2, **more})).status


async def test_jobs_are_counted_by_how_they_ended_and_timed_by_what_made_them(client) -> None:
    assert await make(client, "tone 300 hz") == 200
    assert await make(client, "tone fail") == 502
    found = await figures(client)
    assert found.of("bridge_job_results_total", result="completed") == 1
    assert found.of("bridge_job_results_total", result="failed") == 1
    assert found.of("bridge_job_results_total", result="cancelled") == 0
    assert found.of("bridge_job_duration_seconds_count", engine="tone", model="") == 2
    assert found.of("bridge_job_wait_seconds_count") == 2
    assert found.of("bridge_job_wait_seconds_sum") >= 0
    assert found.of("bridge_jobs", state="queued") == 0
    assert found.of("bridge_jobs", state="running") == 0


async def test_a_cancelled_job_is_counted(client) -> None:
    task = await (await client.post("/api/v1/generate", json={"prompt": "tone slow", "duration": 60})).json()
    await client.delete(f"/api/v1/jobs/{task['job_id']}")
    assert (await figures(client)).of("bridge_job_results_total", result="cancelled") == 1


async def test_what_waits_and_what_runs_is_seen_while_it_does(client) -> None:
    begun = [
        await (await client.post("/api/v1/generate", json={"prompt": f"tone slow {number}", "duration": 60})).json()
        for number in range(6)
    ]
    found = await figures(client)
    assert found.of("bridge_jobs", state="running") == 4  # the tone engine takes four
    assert found.of("bridge_jobs", state="queued") == 2
    for each in begun:
        await client.delete(f"/api/v1/jobs/{each['job_id']}")


async def test_hits_misses_and_joined_requests_are_told_apart(client) -> None:
    same = {"prompt": "tone slow", "duration": 0.5}
    answers = await asyncio.gather(*(client.post("/generate", json=same) for _ in range(3)))
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert await make(client, "tone slow", duration=0.5) == 200
    found = await figures(client)
    assert found.of("bridge_cache_misses_total") == 3
    assert found.of("bridge_single_flight_joined_total") == 2
    assert found.of("bridge_cache_hits_total") == 1
    assert found.of("bridge_job_results_total", result="completed") == 1


async def test_requests_are_timed_by_their_route_and_no_word_becomes_a_label(client) -> None:
    await make(client, "secretwish tone")
    await client.get("/sounds/secretwish")
    await client.get("/secretpath/that/is/nowhere")
    await client.request("PROPFIND", "/health")
    text = await (await client.get("/metrics")).text()
    assert "secret" not in text.lower()
    found = Figures(text)
    count = "bridge_http_request_duration_seconds_count"
    assert found.of(count, route="/generate", method="POST", code="200") == 1
    assert found.of(count, route="/sounds/{keyword}", method="GET") == 1
    assert found.of(count, route="(none)", method="GET", code="404") == 1
    assert found.of(count, method="other") == 1


async def test_pushes_and_pages_are_measured(client) -> None:
    listener = Listener(str(client.make_url("/")))
    await listener.connect()
    try:
        await make(client, "tone 300 hz")
        await until(lambda: listener.of("sound"))
        found = await figures(client)
        assert found.of("bridge_socket_clients") == 1
        assert found.of("bridge_push_duration_seconds_count", event="sound") == 1
        assert found.of("bridge_push_duration_seconds_sum", event="sound") < 5
        await listener.leave()
        await make(client, "tone 400 hz")
        await listener.connect()
        assert (await figures(client)).of("bridge_resync_events_total") >= 1
    finally:
        await listener.leave()


async def test_the_machine_and_the_engines_processes_are_seen(client, service) -> None:
    await until(lambda: service.readiness.ready)
    found = await figures(client)
    assert found.of("bridge_engine_memory_bytes", engine="tone") > 1e6
    assert found.of("bridge_engine_ready", engine="tone") == 1
    assert found.of("bridge_worker_restarts_total", engine="tone") == 0
    assert found.of("bridge_device_load_ratio", device="cpu") >= 0
    assert found.of("bridge_disk_free_bytes") > 0
    assert found.of("process_resident_memory_bytes") > 1e6
    assert found.of("bridge_build_info") == 1


async def test_a_crash_of_an_engine_is_counted(client) -> None:
    assert await make(client, "tone crash") == 502
    assert (await figures(client)).of("bridge_worker_restarts_total", engine="tone") == 3


async def test_memory_that_did_not_suffice_is_counted_each_time(
    tmp_path: Path, monkeypatch, installed, aiohttp_client
) -> None:
    monkeypatch.setattr(embedded, "RETRY_PAUSES", (0.0,))
    async with open_service(settings_for(tmp_path / "data", engine="scripted")) as service:
        client = await aiohttp_client(create_app(service))
        assert await make(client, "memory") == 502
        found = await figures(client)
        assert found.of("bridge_oom_total", engine="scripted") == 2


async def test_what_was_not_understood_is_counted_by_door_and_code(client) -> None:
    assert await make(client, "tone", duration=-1) == 422
    assert (await client.post("/generate", data=b"{", headers={"Content-Type": "application/json"})).status == 400
    assert (await client.post("/generate", data=b"x", headers={"Content-Type": "text/plain"})).status == 415
    assert (await client.get("/sounds/nothing")).status == 404
    async with client.ws_connect("/ws") as socket:
        await socket.send_str("garbage")
        await socket.receive_json()
    async with client.ws_connect("/ws/stream/one") as socket:
        await socket.send_json({"type": "start_streaming", "request": {"prompt": "x", "chunk_duration": -1}})
        await socket.receive_json()
    listener = Listener(str(client.make_url("/")))
    await listener.connect()
    try:
        await listener.ask("generate", {"prompt": "tone", "duration": "long"})
    finally:
        await listener.leave()
    found = await figures(client)
    name = "bridge_bad_requests_total"
    assert found.of(name, door="http", code="malformed_body") == 1
    assert found.of(name, door="http", code="unsupported_media_type") == 1
    assert found.of(name, door="http", code="invalid_request") == 1
    assert found.of(name, door="http", code="unknown_sound") is None, "a question about what is not there is no mistake"
    for door in ("jobs", "stream", "page"):
        assert found.of(name, door=door) == 1, door


async def test_streams_are_counted_while_they_play(client) -> None:
    async with client.ws_connect("/ws/stream/one") as socket:
        await socket.send_json({"type": "start_streaming", "request": {"prompt": "tone", "chunk_duration": 0.2}})
        assert (await socket.receive_json())["type"] == "started"
        assert (await figures(client)).of("bridge_streams") == 1
        await socket.send_json({"type": "stop"})
        while (message := await socket.receive()).type is not WSMsgType.TEXT or '"completed"' not in message.data:
            pass
        assert (await figures(client)).of("bridge_streams") == 0


async def test_what_is_kept_and_what_went_to_make_room_are_counted(tmp_path: Path, aiohttp_client) -> None:
    async with open_service(settings_for(tmp_path / "data", masters_limit_mb=1)) as service:
        client = await aiohttp_client(create_app(service))
        assert await make(client, "tone 300 hz") == 200
        found = await figures(client)
        assert 0 < found.of("bridge_cache_bytes") < 2**20
        assert found.of("bridge_cache_evictions_total") == 0
        for number in range(12):
            await make(client, f"tone {400 + number} hz", duration=2)
        await until(lambda: service.library._store.size() <= 2**20)
        found = await figures(client)
        assert found.of("bridge_cache_evictions_total") >= 1


def test_the_label_of_a_model_in_a_folder_is_no_path() -> None:
    assert bare_model("facebook/musicgen-small") == "facebook/musicgen-small"
    assert bare_model("/home/somebody/musicgen_finetuned") == "musicgen_finetuned"
    assert bare_model("./musicgen_finetuned") == "musicgen_finetuned"


async def test_over_a_network_the_figures_need_the_key(tmp_path: Path, aiohttp_client) -> None:
    settings = settings_for(tmp_path / "data", host="0.0.0.0", api_key="hunter2")
    async with open_service(settings) as service:
        client = await aiohttp_client(create_app(service))
        assert (await client.get("/metrics")).status == 403
        assert (await client.get("/metrics", headers={"Authorization": "Bearer hunter2"})).status == 200
        assert (await client.get("/metrics", headers={"X-API-Key": "hunter2"})).status == 200


async def test_the_document_names_every_figure_and_no_other(client, driver) -> None:
    driver('echo "0, 50, 2048, 4096"')
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    text = await (await client.get("/metrics")).text()
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE bridge_")}
    assert set(re.findall(r"`(bridge_\w+)`", page)) == families


def test_the_drivers_table_is_read_and_odd_lines_are_passed_over() -> None:
    text = "0, 37, 1024, 16384\n1, [N/A], [N/A], 16384\n\nFailed to initialize NVML\n2, 100, 0, 8\n"
    assert read_table(text) == [Gpu("cuda:0", 0.37, 2**30, 2**34), Gpu("cuda:2", 1.0, 0, 2**23)]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(gpu, "_last", (float("-inf"), []))

    def write(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return write


async def test_a_gpu_is_asked_of_its_drivers_program(driver, client) -> None:
    driver('echo "0, 50, 2048, 4096"')
    found = await figures(client)
    assert found.of("bridge_device_load_ratio", device="cuda:0") == 0.5
    assert found.of("bridge_gpu_memory_bytes", device="cuda:0") == 2**31
    assert found.of("bridge_gpu_memory_total_bytes", device="cuda:0") == 2**32


@pytest.mark.parametrize("script", ["exit 9", "exec sleep 60"])
async def test_a_driver_that_does_not_answer_costs_nothing_but_its_figures(driver, monkeypatch, script: str) -> None:
    monkeypatch.setattr(gpu, "SECONDS", 0.2)
    driver(script)
    assert await read_gpus() == []

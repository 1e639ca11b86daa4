"""Every route, on one screen."""

from __future__ import annotations

from aiohttp import web

from bridge.api import (
    daw,
    evaluate,
    forget,
    gen,
    generate,
    health,
    metrics,
    page,
    samples,
    session,
    sets,
    similar,
    sounds,
    stems,
    stream,
    strudel,
)
from bridge.api.description import docs, served
from bridge.api.security.confirm import asking

ROUTES = (
    # the page and Strudel's own conventions
    web.get("/", page.get_root),
    web.get("/assets/{name}", page.get_asset),
    web.get("/sample-bridge.js", page.get_client_module),
    web.get("/notices", page.get_notices),
    web.get("/licence", page.get_licence),
    web.get("/source", page.get_source),
    web.get("/session", session.get_session),
    web.post("/session", session.post_session),
    web.delete("/session", session.delete_session),
    web.get("/strudel.json", strudel.get_strudel_map),
    web.get("/gen/{words}", gen.get_generated_map),
    # contract A, and B's tasks
    web.post("/generate", generate.post_generate),
    web.post("/generate_stem", generate.post_generate_stem),
    web.get("/generate/{task_id}", generate.get_task),
    web.get("/download/{task_id}", generate.get_download),
    web.post("/evaluate", evaluate.post_evaluate),
    web.get("/stream/sessions", stream.get_sessions),
    # contract D
    web.get("/stems/{request}/{file}", stems.get_stem_file),
    # contract C
    web.post("/api/v1/generate", daw.post_job),
    web.get("/api/v1/status/{job_id}", daw.get_status),
    web.get("/api/v1/download/{job_id}", daw.get_audio),
    web.delete("/api/v1/jobs/{job_id}", daw.delete_job),
    web.get("/api/v1/jobs", daw.list_jobs),
    web.post("/api/v1/prompt/build", daw.post_prompt),
    # contract E
    web.post("/api/upload", similar.post_upload),
    web.get("/api/embedding/{audio_id}", similar.get_embedding),
    web.post("/api/generate/{audio_id}", similar.post_similar),
    web.get("/api/status/{generation_id}", similar.get_similar_status),
    web.get("/api/download/{generation_id}", similar.get_similar_audio),
    # the sounds
    web.get("/sounds", sounds.list_sounds),
    web.get("/sounds/{keyword}", sounds.get_sound),
    web.patch("/sounds/{keyword}", sounds.change_sound),
    web.delete("/sounds/{keyword}", sounds.delete_sound),
    web.post("/sounds/{keyword}/slices", sounds.post_slices),
    web.post("/forget", forget.post_forget),
    web.get("/confirm/{id}", asking.get_confirmation),
    web.get("/samples/{file}", samples.get_sample),
    # the players' code
    web.get("/sets", sets.list_sets),
    web.get("/sets/{id}", sets.get_set),
    web.put("/sets/{id}", sets.put_set),
    web.patch("/sets/{id}", sets.restore_set),
    web.delete("/sets/{id}", sets.delete_set),
    web.get("/sets/{id}/versions/{version}", sets.get_set_version),
    # probes
    web.get("/health", health.get_health),
    web.get("/health/live", health.get_live),
    web.get("/health/ready", health.get_ready),
    web.get("/metrics", metrics.get_metrics),
    # what the API is
    web.get("/openapi.json", served.get_openapi),
    web.get("/asyncapi.json", docs.get_asyncapi),
    web.get("/docs", docs.get_docs),
    web.get("/redoc", docs.get_redoc),
    web.get("/asyncapi", docs.get_asyncapi_page),
    web.get("/viewers/{name}", docs.get_viewer),
)

"""The checks that ``check --full`` adds: every format, stems, tasks, refusals, and the page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientResponse

from bridge.audio.formats import FORMATS
from bridge.commands._checks import BASIC, MAKING, QUICK, Check, NotTried, Probe, demand, expect

_MAGIC = {
    "wav": (b"RIFF",),
    "wav24": (b"RIFF",),
    "flac": (b"fLaC", b"ID3"),  # a signed one has its signature in front
    "ogg": (b"OggS",),
    "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
}
_FOREIGN = "https://stranger.example"
_POLL_SECONDS = 0.1
_ASSET = re.compile(r'<(?:script|link|img)\b[^>]*?\b(?:src|href)="(/[^"/][^"]*)"')
_LEGAL = {"/notices": "licen", "/licence": "GNU AFFERO GENERAL PUBLIC LICENSE"}


async def formats(probe: Probe) -> str:
    """Every format, as the answer of a task and by the sample's own address."""
    sound = probe.sound()
    bare = sound["audio_url"].removesuffix(".wav")
    for extension, magics in _MAGIC.items():
        for url in (f"/download/{sound['task_id']}?format={extension}", f"{bare}.{FORMATS[extension].suffix}"):
            async with probe.session.get(probe.url + url, timeout=QUICK) as answer:
                await expect(answer, 200)
                content = await answer.read()
                demand(answer.content_type.startswith("audio/"), f"{url} is {answer.content_type}")
                demand(content.startswith(magics), f"{url} begins with {content[:4]!r}")
    return ", ".join(_MAGIC)


async def task(probe: Probe) -> str:
    """``"wait": false`` answers 202 and a task that ends."""
    probe.sound()
    document = await probe.post("/generate", probe.wanted(seed=probe.seed ^ 1, wait=False), status=202)
    path = f"/generate/{document['task_id']}"
    async with asyncio.timeout(MAKING.total):
        while document["status"] in ("queued", "running"):
            demand(0 <= document["progress"] <= 1, f"progress is {document['progress']}")
            await asyncio.sleep(_POLL_SECONDS)
            document = await probe.json(path)
    demand(document["status"] == "completed", f"it {document['status']}: {document['message']}")
    demand(str(document["audio_url"]).startswith("/download/"), f"audio_url is {document['audio_url']!r}")
    return str(document["status"])


async def stem(probe: Probe) -> str:
    """``POST /generate_stem`` builds the prompt and makes as much as was asked for."""
    if not probe.made:
        raise NotTried("no sound was made")
    name = f"{probe.name}_stem"
    probe.leave.add(name)
    body = {"type": "drums", "style": "dusty", "bpm": 120, "duration": 0.5, "name": name, "seed": probe.seed}
    answer = await probe.post("/generate_stem", body)
    demand("drum" in answer["prompt"] and "dusty" in answer["prompt"], f"its prompt is {answer['prompt']!r}")
    demand(abs(answer["duration"] - 0.5) < 0.001, f"it is {answer['duration']} s long instead of 0.5 s")
    return str(answer["prompt"])


async def bad_input(probe: Probe) -> str:
    """What cannot be understood is refused with its status, a code and a sentence."""
    json_type = {"Content-Type": "application/json"}
    cases: Mapping[str, tuple[str, dict[str, Any]]] = {
        "400 not JSON": ("/generate", {"data": b'{"prompt": ', "headers": json_type}),
        "415 wrong type": ("/generate", {"data": b"prompt=kick", "headers": {"Content-Type": "text/plain"}}),
        "422 no prompt": ("/generate", {"json": {}}),
        "422 empty prompt": ("/generate", {"json": {"prompt": "  "}}),
        "422 long prompt": ("/generate", {"json": {"prompt": "a" * 501}}),
        "422 text only": ("/generate", {"json": {"prompt": 7}}),
        "422 no length": ("/generate", {"json": {"prompt": "kick", "duration": 0}}),
        "422 too long": ("/generate", {"json": {"prompt": "kick", "duration": 1e6}}),
        "422 format": ("/generate", {"json": {"prompt": "kick", "format": "aiff"}}),
        "422 engine": ("/generate", {"json": {"prompt": "kick", "engine": "no_such_engine"}}),
        "422 key": ("/generate", {"json": {"prompt": "kick", "key": "H minor 7"}}),
        "422 stem type": ("/generate_stem", {"json": {"type": "no such stem"}}),
        "413 large": ("/generate", {"data": json.dumps({"prompt": "a" * 20_000_000}), "headers": json_type}),
        "404 task": ("/generate/gen_000000000000", {}),
        "404 sample": ("/samples/" + "0" * 32 + ".wav", {}),
        "404 path": ("/no/such/path", {}),
    }
    for case, (path, keywords) in cases.items():
        method = "POST" if keywords else "GET"
        async with probe.session.request(method, probe.url + path, timeout=QUICK, **keywords) as answer:
            await _refused(answer, int(case[:3]), case)
    return f"{len(cases)} refused"


async def foreign_pages(probe: Probe) -> str:
    """Pages of strangers, and names that lead here by a trick, are refused; our friends are not."""
    body = {"json": {"prompt": "kick"}}
    sockets = "/socket.io/?EIO=4&transport=websocket"
    cases: tuple[tuple[str, str, dict[str, str], int, dict[str, Any]], ...] = (
        ("POST", "/generate", {"Origin": _FOREIGN}, 403, body),
        ("POST", "/generate", {"Origin": "null"}, 403, body),
        ("GET", sockets, {"Origin": _FOREIGN}, 403, {}),
        ("GET", "/sounds", {"Host": "stranger.example"}, 421, {}),
        ("DELETE", "/sounds/no_such_sound", {"Origin": "https://strudel.cc"}, 403, {}),
    )
    for method, path, headers, status, more in cases:
        url = probe.url + path
        async with probe.session.request(method, url, headers=headers, timeout=QUICK, **more) as answer:
            await _refused(answer, status, f"{method} {path} with {headers}")
    headers = {"Origin": "https://strudel.cc"}
    async with probe.session.get(probe.url + "/strudel.json", headers=headers, timeout=QUICK) as answer:
        await expect(answer, 200)
        allowed = answer.headers.get("Access-Control-Allow-Origin")
        demand(allowed == headers["Origin"], f"strudel.cc may not read the map ({allowed})")
    return f"{len(cases)} refused, strudel.cc welcome"


async def legal(probe: Probe) -> str:
    """The licence and the notices of third parties are there without the internet."""
    for path, words in _LEGAL.items():
        async with probe.session.get(probe.url + path, timeout=QUICK) as answer:
            await expect(answer, 200)
            demand(words in await answer.text(), f"{path} does not hold '{words}'")
    return ", ".join(_LEGAL)


async def page(probe: Probe) -> str:
    """The page and every file that it names are there; programs get the map from the same address."""
    async with probe.session.get(probe.url + "/", headers={"Accept": "text/html"}, timeout=QUICK) as answer:
        await expect(answer, 200)
        demand(answer.content_type == "text/html", f"/ is {answer.content_type}")
        demand("Content-Security-Policy" in answer.headers, "the page has no Content-Security-Policy")
        text = await answer.text()
    assets = sorted(set(_ASSET.findall(text)))
    demand(bool(assets), "the page names no file: it has not been built (make build)")
    size = 0
    for path in assets:
        async with probe.session.get(probe.url + path, timeout=QUICK) as answer:
            await expect(answer, 200)
            size += len(await answer.read())
    demand(isinstance(await probe.json("/", headers={"Accept": "*/*"}), dict), "/ is not a sample map for programs")
    return f"{len(assets)} files, {size // 1024} KiB"


async def _refused(answer: ClientResponse, status: int, case: str) -> None:
    """Every error has one shape, for the clients of all contracts."""
    await expect(answer, status)
    document = await answer.json()
    error = document.get("error", {})
    demand(document.get("success") is False, f"{case}: success is not false")
    demand(bool(error.get("code")) and bool(error.get("message")), f"{case}: no code and message")
    demand(document.get("detail") == error["message"], f"{case}: detail is not the message")


FULL: Mapping[str, Check] = {
    **BASIC,
    "formats": formats,
    "task": task,
    "stem": stem,
    "bad input": bad_input,
    "foreign pages": foreign_pages,
    "legal": legal,
    "page": page,
}
"""All of them, in their order."""

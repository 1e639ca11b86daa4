"""A cached 320 KB WAV by its URL, under load from wrk, beside other servers.

Ours is the whole server: guard, routes, headers. The bare one is an aiohttp application with a FileResponse and nothing
else. Both are asked in turn, several times; the ratio is the median over the turns and void when the bare server is
under 2,000 answers a second, because then the machine is the limit. @strudel/sampler has ten files, its best case: it
lists its folder at every request. wrk runs on the same cores as the servers.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.benchmarks._bridge import answers, running_bridge
from tests.benchmarks._figure import Figure, Skipped, median, skipped
from tests.benchmarks._kept import fill
from tests.benchmarks._others import bare_aiohttp, nginx, strudel_sampler
from tests.benchmarks._wrk import Load, wrk

WAV_SIZE = 320_000
FILES = 10
TURNS = 5
BASELINE = 2000.0


async def measure() -> dict[str, Figure]:
    """Ours against a bare FileResponse, and both beside nginx and @strudel/sampler."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        data_dir, folder = scratch / "data", scratch / "files"
        paths = fill(data_dir, FILES, wav_size=WAV_SIZE)
        folder.mkdir(mode=0o755)
        for number, found in enumerate(sorted(data_dir.rglob("*.wav"))[:FILES]):
            shutil.copy(found, folder / f"{number}.wav")
            (folder / f"{number}.wav").chmod(0o644)
        file = folder / "0.wav"
        figures = await _ours(data_dir, paths[0], file)
        figures |= await _other("nginx, one worker", nginx(file, scratch))
        figures |= await _other("@strudel/sampler, ten files", strudel_sampler(file, scratch))
    return figures


async def _ours(data_dir: Path, path: str, file: Path) -> dict[str, Figure]:
    ours: list[Load] = []
    bare: list[Load] = []
    async with running_bridge("--no-pregenerate", data_dir=data_dir) as bridge, bare_aiohttp(file) as url:
        await answers(f"{bridge.url}/health/ready")
        for each in (bridge.url + path, url):
            await wrk(each, seconds=1)  # warm
        for turn in range(TURNS):
            for loads, each in ((ours, bridge.url + path), (bare, url))[:: 1 if turn % 2 else -1]:
                loads.append(await wrk(each))
    ratio = median(mine.rate / theirs.rate for mine, theirs in zip(ours, bare, strict=True))
    baseline = median(load.rate for load in bare)
    void = baseline < BASELINE
    note = f"void: the bare one is under {BASELINE:,.0f}/s" if void else f"median of {TURNS} turns"
    return {
        "ours to bare FileResponse": Figure(ratio, "", 0.9, better="higher", note=note, void=void),
        "ours": Figure(median(load.rate for load in ours), "/s", note=_p99(ours)),
        "bare FileResponse": Figure(baseline, "/s", note=_p99(bare)),
    }


async def _other(name: str, server: AbstractAsyncContextManager[str]) -> dict[str, Figure]:
    try:
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(server)
            load = await wrk(url)
    except Skipped as why:
        return {name: skipped("/s", str(why))}
    return {name: Figure(load.rate, "/s", note=_p99([load]))}


def _p99(loads: list[Load]) -> str:
    return f"99 % within {median(load.p99 for load in loads):.1f} ms"

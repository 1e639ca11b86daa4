"""Part of the MusicGen benchmark: the process that the engine lives in, as the server starts it.

``python -P -m tests.benchmarks._musicgen_host FOLDER``: from its start to ready, and its memory. The first start packs
the weights and keeps them; for the others they are on the disk, and in its cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bridge.engines.hosting.client import HostedEngine
from prompts import Kind, SampleSpec
from tests.benchmarks._musicgen_model import PROMPT, say
from tests.benchmarks._quiet import Watch, wait_for_quiet

STARTS = 3
"""After the first."""
MADE_SECONDS = 5.0
_LOOK_SECONDS = 0.1


async def main(folder: Path) -> None:
    """Start it several times; let it make a sound."""
    data = folder / "host"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    runs = [await _run(folder, data) for _ in range(1 + STARTS)]
    first, *later = runs
    later.sort(key=lambda run: run["ready"])
    middle = later[len(later) // 2]
    say(
        first=first,
        ready=middle["ready"],
        others=middle["others"],
        loading=max(run["loading"] for run in runs),
        loading_kept=max(run["loading"] for run in later),
        steady=max(run["steady"] for run in runs),
        info=middle["info"],
    )


async def _run(folder: Path, data: Path) -> dict[str, Any]:
    await asyncio.to_thread(wait_for_quiet)
    with tempfile.TemporaryDirectory(prefix="bench-") as incoming:
        options = {"model": str(folder), "device": "cpu", "data_dir": str(data)}
        engine = HostedEngine("musicgen", incoming=Path(incoming), options=options)
        began, watch = time.monotonic(), Watch()
        async with _peak() as loading:
            info = await engine.start()
        ready = time.monotonic() - began
        others = watch.others(_children())
        async with _peak() as making:
            await engine.make(
                SampleSpec(prompt=PROMPT, kind=Kind.RAW, seed=1, engine="musicgen", duration=MADE_SECONDS)
            )
        await asyncio.sleep(1.0)
        steady = _pss()
        await engine.close()
    facts = {"ready": ready, "others": others, "loading": loading[0], "making": making[0], "steady": steady}
    return {**facts, "info": {"kernel": info.kernel, "precision": info.precision, "speed": info.speed}}


@contextlib.asynccontextmanager
async def _peak() -> Any:
    """Yield a list whose only number is, afterwards, the largest memory of the children, in GB."""
    largest = [0.0]

    async def look() -> None:
        while True:
            largest[0] = max(largest[0], await asyncio.to_thread(_pss))
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield largest
    finally:
        looking.cancel()


def _pss() -> float:
    """Proportional set size of all children, GB of 10^9 bytes: what is shared counts a part for each who shares it."""
    total = 0
    for child in _children():
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{child}/smaps_rollup").read_text("ascii").splitlines()
            total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    return total / 1e9


def _children() -> list[int]:
    lists = [each.read_text("ascii") for each in Path("/proc/self/task").glob("*/children")]
    return [int(pid) for line in lists for pid in line.split()]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

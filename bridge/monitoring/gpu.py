"""How busy the GPUs are, as far as their driver's own program says so."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from typing import NamedTuple

SECONDS = 3.0
"""How long the program may take."""
FRESH_SECONDS = 5.0
"""An answer is good for this long: several scrapes at once start one program."""
_QUERY = "--query-gpu=index,utilization.gpu,memory.used,memory.total"
_MIB = 2**20


class Gpu(NamedTuple):
    """One GPU, now."""

    name: str
    """``cuda:0``"""
    load: float
    """0 to 1"""
    used: int
    """Bytes"""
    total: int
    """Bytes"""


_last: tuple[float, list[Gpu]] = (float("-inf"), [])


async def read_gpus() -> list[Gpu]:
    """All GPUs of this machine; none where there is no driver, or where it does not answer."""
    global _last
    if time.monotonic() - _last[0] > FRESH_SECONDS:
        program = shutil.which("nvidia-smi")
        _last = (time.monotonic(), read_table(await _run(program)) if program else [])
    return _last[1]


def read_table(text: str) -> list[Gpu]:
    """Read ``index, percent, MiB used, MiB in all`` a line; a line that says something else is passed over."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            index, load, used, total = (float(cell) for cell in line.split(","))
            found.append(Gpu(f"cuda:{index:.0f}", load / 100, round(used * _MIB), round(total * _MIB)))
    return found


async def _run(program: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            program, _QUERY, "--format=csv,noheader,nounits",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return ""
    try:
        answer, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return answer.decode(errors="replace")

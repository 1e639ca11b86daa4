"""Cases made of the API's own description: what it promises holds, and nothing makes the server stumble."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from pathlib import Path

import pytest

from bridge.app import create_app
from bridge.sounds.opening import open_service
from tests.reliability.results import note
from tests.servers import settings_for, until

FULL = os.environ.get("RELIABILITY") == "full"
CASES = 3000 if FULL else 300
EXAMPLES = 60 if FULL else 2
"""Made up for each call, beside those of the edges of every value."""
CONFIG = Path(__file__).with_name("schemathesis.toml")

pytestmark = pytest.mark.reliability


@pytest.mark.timeout(1800)
async def test_no_case_is_a_500_undocumented_or_wrongly_taken(tmp_path: Path, aiohttp_server) -> None:
    seed = random.SystemRandom().randrange(2**32) if FULL else 1
    async with open_service(settings_for(tmp_path / "data", max_duration=1.0)) as service:
        server = await aiohttp_server(create_app(service))
        await until(lambda: service.readiness.ready)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "schemathesis.cli", "--config-file", str(CONFIG),
            "run", str(server.make_url("/openapi.json")), "--checks", "all", "--continue-on-failure",
            "--warnings", "off", "--max-examples", str(EXAMPLES), "--seed", str(seed), "--generation-database", "none",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            output = (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    print(f"seed {seed}\n{output}")
    assert process.returncode == 0, output[-6000:]
    found = re.search(r"(\d+) generated", output)
    assert found, output[-2000:]
    assert int(found[1]) >= CASES
    note("schemathesis", f"{found[1]} cases of the whole OpenAPI document, all checks, nothing found. Seed {seed}.")

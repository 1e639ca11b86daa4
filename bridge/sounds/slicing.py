"""Slices of a kept sound: cut in a process of their own, and what is known of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sys
import uuid
from pathlib import Path
from typing import Any

from bridge.audio import RECIPE
from bridge.audio.facts import SampleFacts
from bridge.errors import BridgeError
from bridge.system.disk import remove_files
from cache import NewSample, Sample

logger = logging.getLogger(__name__)

LONGEST_NAME = 64


def slices_name(name: str, n: int) -> str:
    """``gen_break_sl`` for the slices of its slot 0, ``gen_break_sl3`` for those of slot 3."""
    ending = f"_sl{n}" if n else "_sl"
    return name[: LONGEST_NAME - len(ending)].rstrip("_") + ending


async def cut_slices(source: Sample, master: Path, incoming: Path) -> list[NewSample]:
    """Cut a sample at its attacks into at most 16; their files lie in ``incoming``. Raises BridgeError."""
    request_id = uuid.uuid4().hex[:12]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bridge.audio.analysis.slicing", str(master), str(incoming), request_id,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, complaint = await process.communicate()
        if process.returncode != 0:
            logger.error("slicing %s failed: %s", source.sample_id, complaint.decode(errors="replace")[-2000:])
            raise BridgeError("The sound could not be cut; the log has the details.", code="slicing_failed")
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await remove_files(lambda: list(incoming.glob(f"*-{request_id}-*")))
        raise
    return [_new(source, number, piece) for number, piece in enumerate(json.loads(said))]


def _new(source: Sample, number: int, piece: dict[str, Any]) -> NewSample:
    spec_id = hashlib.sha256(f"{source.sample_id}/slice/{number}/{RECIPE}".encode()).hexdigest()[:32]
    facts = SampleFacts.of(source.facts).but(
        kind="oneshot",
        bars=None,
        beats=None,
        root=None,
        flags=[],
        measures={},
        score=1.0,
        seconds=piece["frames"] / piece["rate"],
        parents=[source.sample_id],
        decisions=[f"cut out of {source.sample_id} at {piece['start_s']:.3f} s, before its attack {number}"],
    )
    return NewSample(
        sample_id=piece["sample_id"],
        spec_id=spec_id,
        master=Path(piece["master"]),
        deliveries={"wav": Path(piece["wav"])},
        rate=piece["rate"],
        channels=piece["channels"],
        frames=piece["frames"],
        facts=facts.as_json(),
    )

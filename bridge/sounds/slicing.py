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
from bridge.errors import BridgeError, InvalidRequest, NotFound
from bridge.jobs import Claim
from bridge.sounds.library import Library
from bridge.sounds.placing import Placer, remove_takes
from bridge.system.disk import DiskWatch, remove_files
from cache import NewSample, Sample, Sound

logger = logging.getLogger(__name__)

LONGEST_NAME = 64


class Slicer:
    """Makes a sound of the pieces of another one."""

    def __init__(self, library: Library, placer: Placer, disk: DiskWatch) -> None:
        self._library = library
        self._placer = placer
        self._disk = disk

    async def slices(self, name: str, n: int = 0) -> Sound:
        """Cut slot ``n`` of a sound before its attacks, and register the pieces, at most 16, as ``<name>_sl``.

        Asked for again, the same slices are in the same slots. Raises NotFound, and InvalidRequest when nothing begins
        in it.
        """
        sound = await self._library.sound(name)
        if n >= len(sound.slots):
            raise NotFound(f"'{sound.name}' has no slot {n}; it has {len(sound.slots)}.", code="unknown_slot")
        source = await self._library.take(sound.slots[n].spec_id)
        assert source is not None  # noqa: S101  a slot shows what is kept
        await self._disk.check()
        try:
            pieces = await cut_slices(source, self._library.master(source.sample_id), self._library.incoming)
        except BridgeError:
            self._disk.suspect()  # the child says only that it could not
            if (trouble := await self._disk.look()) is not None:
                raise trouble from None
            raise
        if len(pieces) < 2:
            await remove_takes(pieces)
            raise InvalidRequest(
                f"Nothing starts in the middle of '{sound.name}', so there is nothing to cut. Take a loop with hits.",
                code="no_slices",
            )
        prompt = SampleFacts.of(source.facts).prompt
        claim = Claim(name=slices_name(sound.name, n), session=sound.session, prompt=prompt)
        for piece in pieces:
            kept = await self._library.take(piece.spec_id)
            if kept is not None:
                await remove_takes([piece])
            await self._placer.place(claim, kept=kept, new=None if kept else piece)
        return await self._library.sound(claim.name)


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

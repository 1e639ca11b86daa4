"""A sample's files: what is made gets its tags and, if wanted, a signature; further deliveries come from the master.

Knows numpy and soundfile only while it encodes, so a server of kept sounds never loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from bridge.audio.facts import SampleFacts
from bridge.audio.files import tags
from bridge.audio.files.provenance import document

Sign: TypeAlias = Callable[[bytes, str, Mapping[str, Any]], bytes]
"""Signs (file, extension, provenance document); answers the file as it is where it cannot hold a signature."""


@dataclass(frozen=True, slots=True)
class Described:
    """A sample as its files describe it."""

    sample_id: str
    rate: int
    """Hz."""
    channels: int
    frames: int
    facts: SampleFacts


@dataclass(frozen=True, slots=True)
class FileMaker:
    """Makes a sample's files."""

    prompts: bool = True
    """False: no file says which words it was made of."""
    sign: Sign | None = None

    def tag_master(self, path: Path, sample: Described) -> None:
        """Put provenance into a master that the engine's process has written."""
        path.write_bytes(tags.tagged(path.read_bytes(), "wav24", self.document(sample)))

    def tag_delivery(self, path: Path, extension: str, sample: Described) -> None:
        """Put provenance into a delivery that the engine's process has written, and sign it."""
        path.write_bytes(self._finished(path.read_bytes(), extension, sample))

    def deliver(self, master: Path, extension: str, sample: Described) -> bytes:
        """Make a delivery from the master; it gets the channels that ``sample`` says.

        Raises InvalidRequest for audio that the format cannot hold.
        """
        from bridge.audio.files import codecs

        pcm, rate = codecs.read_pcm(master)
        pcm = codecs.with_channels(pcm, sample.channels)
        return self._finished(codecs.encode(pcm, rate, extension, sample.sample_id), extension, sample)

    def document(self, sample: Described) -> dict[str, Any]:
        """Build the provenance document that the files carry."""
        return document(
            sample.facts,
            sample_id=sample.sample_id,
            rate=sample.rate,
            channels=sample.channels,
            frames=sample.frames,
            prompts=self.prompts,
        )

    def _finished(self, data: bytes, extension: str, sample: Described) -> bytes:
        found = self.document(sample)
        data = tags.tagged(data, extension, found)
        return self.sign(data, extension, found) if self.sign else data

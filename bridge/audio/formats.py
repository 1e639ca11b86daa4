"""The formats that samples are delivered in, by name. ``codecs`` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """One delivery format."""

    suffix: str
    """Behind the sample's id in its address, and behind the name of a file."""
    content_type: str


FORMATS: Mapping[str, Format] = {
    "wav": Format("wav", "audio/wav"),
    "wav24": Format("24.wav", "audio/wav"),
    "flac": Format("flac", "audio/flac"),
    "ogg": Format("ogg", "audio/ogg"),
    "mp3": Format("mp3", "audio/mpeg"),
}
"""The name is what ``?format=`` takes. Two are WAV files, so an address has one more word than a name."""

BY_SUFFIX: Mapping[str, str] = {each.suffix: name for name, each in FORMATS.items()}

PEAKS = "peaks"
"""The outline of a sample. It is made, kept and sent as the formats are, but it is not audio."""


def content_type(name: str) -> str:
    """Say what a format, or the outline, is sent as."""
    return "application/octet-stream" if name == PEAKS else FORMATS[name].content_type

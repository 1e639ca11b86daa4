"""FLAC: streams one behind the other, whose headers say nothing of their length."""

from __future__ import annotations

import re

from bridge.audio.files.incoming.part import Part

_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
_TOTAL = 21
"""The byte whose lower half begins the 36 bits of "total samples"."""


def parts(data: bytes) -> list[Part]:
    """Take each FLAC stream of a file; a total of 0 (unknown) makes the decoder go on to the end."""
    starts = [found.start() for found in _START.finditer(data)] or [0]
    ends = [*starts[1:], len(data)]
    return [Part(endless(data[start:end]), "flac") for start, end in zip(starts, ends, strict=True)]


def endless(stream: bytes) -> bytes:
    """Give the stream without its length."""
    if len(stream) < _TOTAL + 5:
        return stream
    return stream[:_TOTAL] + bytes((stream[_TOTAL] & 0xF0,)) + bytes(4) + stream[_TOTAL + 5 :]

"""One stream of a file, and the refusal of a file."""

from __future__ import annotations

from dataclasses import dataclass


class AudioRefused(Exception):
    """This file is not taken."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Part:
    """One stream of audio, as a whole file that libsndfile reads."""

    data: bytes
    format: str
    """wav, flac, ogg or mp3."""
    frames: int | None = None
    """How many frames are audio, at most; the rest fills the last block of the encoder."""
    mask: int = 0
    """WAV's dwChannelMask, 0 when unknown."""

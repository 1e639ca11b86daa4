"""Decoding the streams of a file to the end, block by block, as one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bridge.audio.analysis.spectrum import Signal
from bridge.audio.files.incoming.downmix import matrix
from bridge.audio.files.incoming.part import AudioRefused, Part
from bridge.audio.files.incoming.parts import parts

LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
MOST_CHANNELS = 8

_BLOCK = 1 << 16
_MOST_FAULTS = 64
_LOUDEST = 1e30
"""More would overflow when channels are added."""
_NAMES = {"wav": "WAV", "flac": "FLAC", "ogg": "Ogg", "mp3": "MP3"}


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """Reads on until the decoder has no more. As a seekable file it would trust the header's length and seek."""

    def seekable(self) -> bool:
        """Say no."""
        return False


@dataclass(slots=True)
class Decoder:
    """The audio of a file; rate, channels and format are those of its first stream."""

    parts: list[Part]
    rate: int
    channels: int
    """As many as the file has."""
    data: bytes
    """The whole file."""
    damaged: bool = False
    """Something could not be decoded, and was left out."""

    @property
    def format(self) -> str:
        """wav, flac, ogg or mp3."""
        return self.parts[0].format

    @property
    def kept_channels(self) -> int:
        """As many as the blocks have: one or two."""
        return min(2, self.channels)

    def blocks(self) -> Iterator[Signal]:
        """Yield all audio in blocks (frames, one or two channels); NaN and infinity are silence.

        Beyond full scale it is as it is. Raises AudioRefused.
        """
        for part in self.parts:
            yield from self._of(part)

    def _of(self, part: Part) -> Iterator[Signal]:
        with _opened(part) as file:
            mix = matrix(file.channels, part.mask, file.format)
            converter = None
            if file.samplerate != self.rate:
                converter = soxr.ResampleStream(file.samplerate, self.rate, self.kept_channels, dtype="float32")
            for block in self._read(file, part):
                mixed = self._fitted(block if mix is None else block @ mix)
                yield mixed if converter is None else converter.resample_chunk(mixed)
            if converter is not None:
                yield converter.resample_chunk(np.zeros((0, self.kept_channels), dtype=np.float32), last=True)

    def _read(self, file: soundfile.SoundFile, part: Part) -> Iterator[Signal]:
        left = part.frames if part.frames is not None else 1 << 62
        faults = 0
        while left > 0:
            block = np.full((_BLOCK, file.channels), np.nan, dtype=np.float32)
            try:
                found = file.read(out=block)
            except soundfile.LibsndfileError:
                # What was decoded before the fault has been written; how much of it there is, only the NaN tell.
                found = block[: int(np.isfinite(block).all(axis=1).sum())]
                self.damaged, faults = True, faults + 1
                if not len(found):
                    return
            if not len(found) or faults > _MOST_FAULTS:
                return
            found = found[:left]
            left -= len(found)
            yield np.clip(np.nan_to_num(found, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)

    def _fitted(self, block: Signal) -> Signal:
        """Give a later stream the channels of the first."""
        if block.shape[1] == self.kept_channels:
            return block
        if block.shape[1] == 1:
            return np.repeat(block, self.kept_channels, axis=1)
        mean: Signal = block.mean(axis=1, keepdims=True)
        return mean


def opened(source: Path) -> Decoder:
    """Open an audio file. Raises AudioRefused."""
    data = source.read_bytes()
    found = parts(data)
    with _opened(found[0]) as file:
        return Decoder(found, file.samplerate, file.channels, data)


def _opened(part: Part) -> soundfile.SoundFile:
    try:
        file = _Forward(io.BytesIO(part.data))
    except soundfile.LibsndfileError as error:
        raise AudioRefused(
            "unreadable_audio",
            f"This is a file of the kind {_NAMES[part.format]}, and it cannot be decoded ({error.error_string}).",
        ) from None
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        file.close()
        raise AudioRefused("bad_rate", f"The file's rate is {file.samplerate} Hz; send audio of 8000 to 192000 Hz.")
    if not 1 <= file.channels <= MOST_CHANNELS:
        file.close()
        raise AudioRefused("bad_channels", f"The file has {file.channels} channels; send 1 to {MOST_CHANNELS}.")
    return file

"""The child process that opens other people's files.

``python -P -m bridge.audio.files.reader read|judge|rate IN OUT ...``.

An upload may contain anything. It is decoded here, under the kernel's limits for memory, processor time, files and
their size, behind walls (no sockets, no other programs: ``bridge/system/walls.py``), without the server's environment.
Only what has been decoded is kept: 24-bit FLAC, written again. What the header says is looked at before anything is
decoded, so that a small file that unpacks to gigabytes is refused unread. One JSON document comes out:
``{"features": {...}}``, ``{"measures": {...}}``, or ``{"refused": code, "message": sentence}``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from bridge.plugins.clip import Clip
from bridge.system import walls
from bridge.system.lifeline import die_with_parent

LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
MOST_CHANNELS = 8
SHORTEST_SECONDS = 0.1

_FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3", "MPEG": "mp3"}
_WORK_RATE = 44_100
_BLOCK = 1 << 16
_MEMORY = 3 << 30
_CPU_SECONDS = 60
_LARGEST_FILE = 1 << 30
_OPEN_FILES = 64
_NICENESS = 5


class AudioRefused(Exception):
    """This file is not taken."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read(source: Path, kept: Path, longest: float) -> dict[str, Any]:
    """Decode ``source``, write what is in it to ``kept`` (FLAC, at most two channels), and describe it.

    Raises AudioRefused for a file that is not audio we read, is too long or empty, or has an odd rate or channel count.
    """
    facts, clip = _opened(source, kept, longest)
    from bridge.audio.analysis.features import describe  # scipy, a second: for what can be read alone

    return facts | describe(clip)


def judge(source: Path, kept: Path, longest: float) -> dict[str, Any]:
    """Decode ``source`` as ``read`` does, and evaluate it."""
    facts, clip = _opened(source, kept, longest)
    from bridge.audio.analysis.figures import evaluate

    return facts | evaluate(clip)


def _opened(source: Path, kept: Path, longest: float) -> tuple[dict[str, Any], Clip]:
    try:
        with soundfile.SoundFile(source) as file:
            _check(file, longest)
            clip, seconds = _decoded(file, kept, longest)
            facts = {"duration": round(seconds, 6), "sample_rate": file.samplerate, "channels": file.channels,
                     "format": _FORMATS[file.format]}  # fmt: skip
    except soundfile.LibsndfileError as error:
        raise AudioRefused("unreadable_audio", f"The file cannot be read as audio ({error.error_string}).") from None
    if seconds < SHORTEST_SECONDS:
        raise AudioRefused(
            "too_short", f"The file holds {seconds:.3f} s of audio; send at least {SHORTEST_SECONDS:g} s."
        )
    return facts, clip


def to_rate(source: Path, target: Path, rate: int) -> dict[str, Any]:
    """Write the audio file ``source`` to ``target`` as WAV (16 bit) at another rate."""
    from bridge.audio.finishing.resample import resample

    samples, own = soundfile.read(source, dtype="float32", always_2d=True)
    clip = resample(Clip(np.ascontiguousarray(samples.T), own), rate)
    loudest = float(np.abs(clip.samples).max(initial=0.0))
    quieter = clip.samples / max(1.0, loudest / 0.9999)
    soundfile.write(target, quieter.T, rate, format="WAV", subtype="PCM_16")
    return {"frames": clip.frames, "channels": clip.channels}


def _check(file: soundfile.SoundFile, longest: float) -> None:
    if file.format not in _FORMATS:
        raise AudioRefused("unsupported_media_type", "Send a WAV, MP3, FLAC or Ogg file.")
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        raise AudioRefused("bad_rate", f"The file's rate is {file.samplerate} Hz; send audio of 8000 to 192000 Hz.")
    if not 1 <= file.channels <= MOST_CHANNELS:
        raise AudioRefused("bad_channels", f"The file has {file.channels} channels; send 1 to {MOST_CHANNELS}.")
    if file.frames > longest * file.samplerate:
        raise _too_long(longest)


def _too_long(longest: float) -> AudioRefused:
    return AudioRefused("too_long", f"The audio is longer than {longest:g} seconds; send a part of it.")


def _decoded(file: soundfile.SoundFile, kept: Path, longest: float) -> tuple[Clip, float]:
    """Decode block by block: to ``kept`` as it is, and to a clip at the rate at which it is measured."""
    channels = min(2, file.channels)
    most = round(longest * file.samplerate)
    rate = min(file.samplerate, _WORK_RATE)
    converter = soxr.ResampleStream(file.samplerate, rate, channels, dtype="float32", quality="HQ")
    pieces, frames = [], 0
    with soundfile.SoundFile(kept, "w", file.samplerate, channels, "PCM_24", format="FLAC") as copy:
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            frames += len(block)
            if frames > most:  # the header lied
                raise _too_long(longest)
            block = np.clip(np.nan_to_num(_two_at_most(block)), -1.0, 1.0)
            copy.write(block)
            pieces.append(converter.resample_chunk(block))
    pieces.append(converter.resample_chunk(np.zeros((0, channels), dtype=np.float32), last=True))
    samples = np.concatenate(pieces).T
    return Clip(np.ascontiguousarray(samples, dtype=np.float32), rate), frames / file.samplerate


def _two_at_most(block: Any) -> Any:
    return block if block.shape[1] <= 2 else np.repeat(block.mean(axis=1, keepdims=True), 2, axis=1)


def _limit() -> None:
    """Give away what is not needed: more memory, time, files, and the life after the parent's end."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    os.nice(_NICENESS)
    die_with_parent(os.getppid())


def main(arguments: list[str] | None = None) -> int:
    """Do one piece of work, print one JSON document."""
    parser = argparse.ArgumentParser(prog="bridge.audio.files.reader")
    parser.add_argument("work", choices=("read", "judge", "rate"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="the longest audio that is accepted")
    parser.add_argument("--rate", type=int, default=32_000)
    options = parser.parse_args(arguments)
    os.umask(0o077)  # what it writes is its user's alone
    _limit()
    walls.close_in()  # where there are none, the limits remain; doctor tells
    try:
        if options.work == "rate":
            answer = to_rate(options.source, options.target, options.rate)
        elif options.work == "judge":
            answer = {"measures": judge(options.source, options.target, options.seconds)}
        else:
            answer = {"features": read(options.source, options.target, options.seconds)}
    except AudioRefused as refused:
        answer = {"refused": refused.code, "message": str(refused)}
    except MemoryError:
        answer = {"refused": "unreadable_audio", "message": "The file needs too much memory to be read."}
    sys.stdout.write(json.dumps(answer, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

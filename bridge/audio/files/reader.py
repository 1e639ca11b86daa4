"""The child process that opens other people's files.

``python -P -m bridge.audio.files.reader read|judge|rate IN OUT ...``.

An upload may contain anything. It is decoded here, under the kernel's limits for memory, processor time, files and
their size, behind walls (no sockets, no other programs: ``bridge/system/walls.py``), without the server's environment.
Only what has been decoded is kept: 24-bit FLAC, written again. Lengths come from decoding to the end, not from headers;
a small file that unpacks to gigabytes is given up where the longest audio that is taken ends. One JSON document comes
out: ``{"features": {...}}``, ``{"measures": {...}}``, or ``{"refused": code, "message": sentence}``.
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

from bridge.audio.files.incoming.decoding import Decoder, opened
from bridge.audio.files.incoming.part import AudioRefused
from bridge.audio.files.incoming.tempo import Stated, stated
from bridge.plugins.clip import Clip
from bridge.system import walls
from bridge.system.lifeline import die_with_parent

SHORTEST_SECONDS = 0.1

_WORK_RATE = 44_100
_MEMORY = 3 << 30
_CPU_SECONDS = 60
_LARGEST_FILE = 1 << 30
_OPEN_FILES = 64
_NICENESS = 5


def read(source: Path, kept: Path, longest: float) -> dict[str, Any]:
    """Decode ``source``, write what is in it to ``kept`` (FLAC, at most two channels), and describe it.

    Raises AudioRefused for a file that is not audio we read, is too long or empty, or has an odd rate or channel count.
    """
    facts, clip, tempo = _opened(source, kept, longest)
    from bridge.audio.analysis.features import describe  # scipy, a second: for what can be read alone

    features = facts | describe(clip)
    if tempo is not None:
        # What the maker wrote is exact, and right about octaves, of which a listener can only guess.
        features["tempo"] = {"bpm": tempo.bpm, "confidence": 1.0, "source": tempo.source}
    elif features["tempo"] is not None:
        features["tempo"]["source"] = "measured"
    return features


def judge(source: Path, kept: Path, longest: float) -> dict[str, Any]:
    """Decode ``source`` as ``read`` does, and evaluate it."""
    facts, clip, _ = _opened(source, kept, longest)
    from bridge.audio.analysis.figures import evaluate

    return facts | evaluate(clip)


def _opened(source: Path, kept: Path, longest: float) -> tuple[dict[str, Any], Clip, Stated | None]:
    decoder = opened(source)
    clip, frames, loudest = _decoded(decoder, kept, longest)
    seconds, scaled = frames / decoder.rate, None
    if seconds < SHORTEST_SECONDS:
        raise AudioRefused(
            "too_short", f"The file holds {seconds:.3f} s of audio; send at least {SHORTEST_SECONDS:g} s."
        )
    if loudest > 1.0:
        # Floating point, lossy decoders and the down-mix go beyond full scale; all of it gets quieter by the same.
        clip, *_ = _decoded(decoder, kept, longest, 1.0 / loudest)
        scaled = round(-20.0 * float(np.log10(loudest)), 2)
    facts = {"duration": round(seconds, 6), "sample_rate": decoder.rate, "channels": decoder.channels,
             "format": decoder.format, "scaled_db": scaled, "damaged": decoder.damaged}  # fmt: skip
    return facts, clip, stated(decoder.data, seconds)


def to_rate(source: Path, target: Path, rate: int) -> dict[str, Any]:
    """Write the audio file ``source`` to ``target`` as WAV (16 bit) at another rate."""
    from bridge.audio.finishing.resample import resample

    samples, own = soundfile.read(source, dtype="float32", always_2d=True)
    clip = resample(Clip(np.ascontiguousarray(samples.T), own), rate)
    loudest = float(np.abs(clip.samples).max(initial=0.0))
    quieter = clip.samples / max(1.0, loudest / 0.9999)
    soundfile.write(target, quieter.T, rate, format="WAV", subtype="PCM_16")
    return {"frames": clip.frames, "channels": clip.channels}


def _decoded(decoder: Decoder, kept: Path, longest: float, gain: float = 1.0) -> tuple[Clip, int, float]:
    """Decode block by block: to ``kept`` as it is, and to a clip at the rate at which it is measured.

    Also gives the number of frames in the file's rate, and the highest sample before ``gain``.
    """
    channels = decoder.kept_channels
    most = round(longest * decoder.rate)
    rate = min(decoder.rate, _WORK_RATE)
    converter = soxr.ResampleStream(decoder.rate, rate, channels, dtype="float32", quality="HQ")
    pieces, frames, loudest = [], 0, 0.0
    with soundfile.SoundFile(kept, "w", decoder.rate, channels, "PCM_24", format="FLAC") as copy:
        for found in decoder.blocks():
            frames += len(found)
            if frames > most:
                raise AudioRefused("too_long", f"The audio is longer than {longest:g} seconds; send a part of it.")
            loudest = max(loudest, float(np.abs(found).max(initial=0.0)))
            block = np.clip(found * gain, -1.0, 1.0)
            copy.write(block)
            pieces.append(converter.resample_chunk(block))
    pieces.append(converter.resample_chunk(np.zeros((0, channels), dtype=np.float32), last=True))
    samples = np.concatenate(pieces).T
    return Clip(np.ascontiguousarray(samples, dtype=np.float32), rate), frames, loudest


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

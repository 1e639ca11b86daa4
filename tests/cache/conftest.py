"""A real store on a real disk, and samples to put into it."""

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cache import NewSample, SampleStore

Make = Callable[..., NewSample]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wav(audio: bytes, rate: int = 44100) -> bytes:
    """A mono WAV file of 24 bits."""
    audio = audio[: len(audio) // 6 * 6]
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 3, 3, 24) + b"data"
    body += struct.pack("<I", len(audio)) + audio
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture
def record(make: "Make") -> "Make":
    """Like ``make``, with a master that is a WAV file."""

    def recorded(store: SampleStore, spec: str, **options: Any) -> NewSample:
        new = make(store, spec, **options)
        new.master.write_bytes(wav(new.master.read_bytes()))
        return new

    return recorded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[SampleStore]:
    with SampleStore.open(folder, durable=False, clock=clock) as opened:
        yield opened


@pytest.fixture
def ident() -> Callable[[str], str]:
    """An id for a word."""
    return lambda word: hashlib.sha256(word.encode()).hexdigest()[:32]


@pytest.fixture
def make(ident: Callable[[str], str]) -> Make:
    """Write a sample into ``incoming``: the audio's id comes from ``audio``, the spec's from ``spec``."""

    def made(
        store: SampleStore, spec: str, *, audio: str = "", size: int = 1000, formats: tuple[str, ...] = (), **facts: Any
    ) -> NewSample:
        sample_id = ident("audio " + (audio or spec))
        data = (sample_id * (size // len(sample_id) + 1))[:size].encode()
        files = {each: store.incoming / f"{spec}.{each}" for each in ("master", *formats)}
        for file in files.values():
            file.write_bytes(data)
        master = files.pop("master")
        return NewSample(sample_id, ident(spec), master, 44100, 1, size, facts, files)

    return made

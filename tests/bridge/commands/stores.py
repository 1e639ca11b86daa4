"""Small libraries for the tests of commands that look after them."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from bridge.sounds.rebuilding import tell
from cache import NewSample, Published, SampleStore, Target


def wav(number: int, frames: int = 2205) -> bytes:
    """A 24-bit mono WAV of 44.1 kHz, another one for each number; 2205 frames are 50 ms."""
    audio = hashlib.shake_128(struct.pack("<q", number)).digest(frames * 3)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 44100, 44100 * 3, 3, 24)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(audio)) + audio + b"\0" * (len(audio) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def publish(store: SampleStore, name: str, number: int) -> Published:
    """Keep a sound of one's own number."""
    content = wav(number)
    facts = {**tell(content).facts, "prompt": name, "seconds": 0.05, "engine": "tone", "licence": "CC0-1.0"}
    sample_id = hashlib.sha256(content).hexdigest()[:32]
    master = store.incoming / f"{sample_id}.wav"
    master.write_bytes(content)
    spec_id = hashlib.sha256(f"spec {number}".encode()).hexdigest()[:32]
    new = NewSample(sample_id, spec_id, master, 44100, 1, 2205, facts)
    return store.publish(new, [Target(name, terms={name: 1.0})])


def add(folder: Path, name: str, number: int = 1) -> str:
    """Add a sound to a library that nobody has open: its sample's id."""
    with SampleStore.open(folder, undo_seconds=1e9) as store:
        return publish(store, name, number).sounds[0].slot.sample_id


def digests(folder: Path) -> set[str]:
    """Contents of all masters of a data folder, those in its trash too."""
    files = [file for top in ("masters", "trash") for file in (folder / top).rglob("*") if file.is_file()]
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

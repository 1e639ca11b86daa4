"""Data folders that are full before the server starts."""

from __future__ import annotations

import hashlib
import io
import random
import wave
from pathlib import Path

from cache import NewSample, SampleStore, Target

RATE = 44100


def wav_bytes(frames: int, *, seed: int, bytes_per_sample: int = 2) -> bytes:
    """Noise, mono, as a WAV file: nothing can compress it away."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(bytes_per_sample)
        writer.setframerate(RATE)
        writer.writeframes(random.Random(seed).randbytes(frames * bytes_per_sample))
    return file.getvalue()


def fill(data_dir: Path, count: int, *, wav_size: int = 1000) -> list[str]:
    """Keep so many sounds with a WAV of ``wav_size`` bytes each; return the paths of their URLs.

    Through the store itself, so the catalogue is what a server would have written. Durability is off: nobody pulls a
    plug meanwhile.
    """
    frames = (wav_size - 44) // 2
    urls = []
    with SampleStore.open(data_dir, durable=False) as store:
        for number in range(count):
            digest = hashlib.sha256(f"benchmark {number} {wav_size}".encode()).hexdigest()[:32]
            master, delivery = store.incoming / f"{digest}.master", store.incoming / f"{digest}.wav"
            master.write_bytes(wav_bytes(frames, seed=number, bytes_per_sample=3))
            delivery.write_bytes(wav_bytes(frames, seed=number))
            name = f"gen_kept_{number}"
            new = NewSample(
                sample_id=digest,
                spec_id=digest,
                master=master,
                rate=RATE,
                channels=1,
                frames=frames,
                facts=_facts(number, frames),
                deliveries={"wav": delivery},
            )
            terms = {"kept": 1.0, "noise": 1.0, f"word{number % 997}": 1.0}
            store.publish(new, [Target(name, aliases=(f"musicgen_kept_{number}",), terms=terms)])
            urls.append(f"/samples/{digest}.wav")
    return urls


def _facts(number: int, frames: int) -> dict[str, object]:
    return {
        "prompt": f"kept noise number {number}",
        "kind": "oneshot",
        "seconds": frames / RATE,
        "bpm": None,
        "bars": None,
        "beats": None,
        "key": None,
        "root": None,
        "engine": "procedural",
        "model": None,
        "licence": "CC0-1.0",
        "commercial": True,
        "flags": [],
    }

"""Every delivery format, as Chromium decodes it: as long as the master to the sample, and in its place."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import aiohttp
import mutagen.id3
import numpy as np
import pytest

from bridge.audio.formats import FORMATS

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, Visit

DECODE = """async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const audio = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(bytes.buffer);
    const mixed = new Float32Array(audio.length);
    for (let channel = 0; channel < audio.numberOfChannels; channel++)
        audio.getChannelData(channel).forEach((value, index) => { mixed[index] += value / audio.numberOfChannels; });
    return Array.from(mixed);
}"""
LOSSLESS_STEPS = {"wav": 2.6 / 2**15, "wav24": 2.0**-22, "flac": 2.0**-22}
"""The largest difference from the master; that of WAV 16 is its dither, and Chromium's own scale, one step at most."""


async def _get(url: str) -> bytes:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


async def _decoded(visit: Visit, data: bytes) -> np.ndarray:
    return np.asarray(await visit.page.evaluate(DECODE, base64.b64encode(data).decode()))


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "oneshot", "duration": 0.1},
        {"kind": "oneshot", "duration": 0.5},
        {"kind": "loop", "bars": 1, "bpm": 173},
    ],
    ids=["short", "hit", "loop"],
)
async def test_chromium_decodes_every_format_sample_by_sample(
    tone_bridge: Bridge, visit: Visit, kind: dict[str, Any]
) -> None:
    made = await tone_bridge.post("/generate", {"prompt": "tight kick", "engine": "procedural", **kind})
    await visit.open(tone_bridge.url)
    bare = tone_bridge.url + made["audio_url"].removesuffix(".wav")
    frames = round(made["duration"] * 44100)
    decoded = {name: await _decoded(visit, await _get(f"{bare}.{form.suffix}")) for name, form in FORMATS.items()}
    assert {name: len(samples) for name, samples in decoded.items()} == dict.fromkeys(FORMATS, frames)
    master = decoded["wav24"]
    for name, step in LOSSLESS_STEPS.items():
        assert np.abs(decoded[name] - master).max() <= step, name
    for name in ("ogg", "mp3"):
        padded = np.pad(decoded[name], 2000)
        place = int(np.argmax(np.correlate(padded, master, "valid"))) - 2000
        assert place == 0, f"{name} plays {place} samples late"


async def test_chromium_decodes_a_flac_behind_an_id3_tag(tone_bridge: Bridge, visit: Visit) -> None:
    """Where C2PA puts its signature."""
    made = await tone_bridge.post("/generate", {"prompt": "tone 300 hz", "duration": 0.3, "format": "base64"})
    await visit.open(tone_bridge.url)
    flac = await _get(tone_bridge.url + made["audio_url"].removesuffix("wav") + "flac")
    tag = io.BytesIO()
    frames = mutagen.id3.ID3()
    frames.add(mutagen.id3.TXXX(encoding=3, desc="c2pa", text="x" * 5000))
    frames.save(tag)
    assert np.array_equal(await _decoded(visit, tag.getvalue() + flac), await _decoded(visit, flac))

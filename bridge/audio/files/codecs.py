"""Audio files: masters and deliveries.

The server process imports this module too (to make a vanished delivery again), so it knows numpy and soundfile alone.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

from bridge.audio.files.dither import to_16_bits
from bridge.errors import InvalidRequest
from bridge.plugins.clip import Clip

Pcm: TypeAlias = npt.NDArray[np.int32]
"""(frames, channels), 24 bits in the upper part of 32."""

_ENCODINGS = {
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "flac": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
"""Delivery format -> libsndfile's container and encoding. WAV 24 and FLAC are the master bit by bit."""
_BEST = 0.0
"""libsndfile's compression level of a lossy file: as little as can be."""
_MP3_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
"""Hz; the format knows no others (ISO 11172-3, 13818-3, and the extension "MPEG-2.5")."""
_PIECE = 1 << 14
"""Frames."""


def to_pcm(clip: Clip) -> Pcm:
    """Quantise to 24 bits; samples beyond full scale are held there."""
    scaled = np.rint(clip.samples.T.astype(np.float64) * (2**23 - 1))
    return np.ascontiguousarray(np.clip(scaled, -(2**23), 2**23 - 1).astype(np.int32) << 8)


def sample_id(pcm: Pcm, rate: int) -> str:
    """Digest of the audio: 32 hexadecimal digits of SHA-256 over rate, channels and samples."""
    digest = hashlib.sha256(f"{rate}/{pcm.shape[1]}/".encode())
    digest.update(pcm.astype("<i4", copy=False).tobytes())
    return digest.hexdigest()[:32]


def write_master(path: Path, pcm: Pcm, rate: int) -> None:
    """Write a 24-bit WAV."""
    soundfile.write(path, pcm, rate, subtype="PCM_24", format="WAV")


def read_pcm(path: Path) -> tuple[Pcm, int]:
    """Read a file's samples as 24 bits in 32, and its rate in Hz."""
    pcm, rate = soundfile.read(path, dtype="int32", always_2d=True)
    return pcm, int(rate)


def with_channels(pcm: Pcm, channels: int) -> Pcm:
    """Give audio this many channels: mono goes to all of them, of more the first are kept."""
    if pcm.shape[1] == channels:
        return pcm
    return np.ascontiguousarray(
        np.repeat(pcm[:, :1], channels, axis=1) if pcm.shape[1] < channels else pcm[:, :channels]
    )


def encode(pcm: Pcm, rate: int, extension: str, seed: str = "") -> bytes:
    """Encode for delivery in one of ``formats.FORMATS``, exactly as long as it is.

    ``seed``: the sample's id; the dither of WAV 16 follows from it, so that the same sample is always the same file.
    Raises InvalidRequest for audio that the format cannot hold.
    """
    if extension == "mp3" and (rate not in _MP3_RATES or pcm.shape[1] > 2):
        raise InvalidRequest(
            f"format: mp3 holds no sound of {rate} Hz and {pcm.shape[1]} channels. Ask for wav, flac or ogg.",
            code="unfit_format",
            field="format",
        )
    container, subtype = _ENCODINGS[extension]
    file = io.BytesIO()
    if extension in ("ogg", "mp3"):
        # Constant: MP3 at its highest rate, 320 kbit/s at 44.1 kHz; below 256 a loop's seam is heard.
        mode = {"bitrate_mode": "CONSTANT"} if extension == "mp3" else {}
        with soundfile.SoundFile(
            file, "w", rate, pcm.shape[1], subtype, format=container, compression_level=_BEST, **mode
        ) as lossy:
            # Piece by piece: handed a long sound at once, libvorbis overflows the stack and takes the process with it.
            for start in range(0, len(pcm), _PIECE):
                lossy.write(pcm[start : start + _PIECE])
        return file.getvalue()
    soundfile.write(file, to_16_bits(pcm, seed) if extension == "wav" else pcm, rate, format=container, subtype=subtype)
    return file.getvalue()

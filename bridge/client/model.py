"""Sounds from Python: ``from bridge import create_musicgen_model, save_audio_file``.

A model is a way to the same library that the command line and the server use: what was made once is kept, and while a
server has the data folder open, the model asks that server.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import logging
import threading
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile

from bridge.audio.files import codecs
from bridge.audio.formats import BY_SUFFIX
from bridge.client.maker import Maker
from bridge.client.opening import open_maker
from bridge.client.wishes import Wish, read_wish
from bridge.errors import InvalidRequest
from bridge.plugins.clip import Clip
from bridge.settings import load

logger = logging.getLogger(__name__)

SAMPLE_RATE = 24000
"""Hz of what ``generate_audio`` returns unless it is asked for another rate."""
_AT_ONCE = 4

T = TypeVar("T")
Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"


class GeneratedAudio(np.ndarray[Any, np.dtype[np.float32]]):
    """Audio as an array: float32 of shape (texts, frames), nominally -1..1, with its ``sample_rate`` in Hz."""

    sample_rate: int

    def __new__(cls, samples: npt.ArrayLike, sample_rate: int) -> GeneratedAudio:
        """View ``samples`` as audio at ``sample_rate``."""
        audio = np.asarray(samples, dtype=np.float32).view(cls)
        audio.sample_rate = sample_rate
        return audio

    def __array_finalize__(self, parent: Any) -> None:
        self.sample_rate = getattr(parent, "sample_rate", SAMPLE_RATE)

    def numpy(self) -> Array:
        """Return a plain array."""
        return np.asarray(self)


class MusicGenModel:
    """Makes audio from texts. It opens its engine when it is first asked, and holds it until ``close`` or its ``with``.

    ``model``: size, hub id or folder of MusicGen's weights; None: the engine that the settings choose. ``settings``:
    any setting by its name, such as ``data_dir``. Several threads may share one.
    """

    def __init__(self, model: str | None = None, *, device: str | None = None, **settings: Any) -> None:
        self._settings = load({"model": model, "device": device, **settings})
        for sentence in self._settings.foreign:
            logger.warning("%s", sentence)
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None
        self._maker: Maker | None = None
        self._stack = AsyncExitStack()

    @classmethod
    def from_pretrained(cls, name: str = "small", **settings: Any) -> MusicGenModel:
        """Take MusicGen weights by size, hub id or folder; missing ones are loaded at the first request."""
        return cls(name, **settings)

    def generate_audio(self, texts: str | Sequence[str], duration: float = 8.0, **options: Any) -> GeneratedAudio:
        """Make one sound for each text: float32 of shape (texts, frames), mono, ``duration`` seconds long.

        Options: ``sample_rate`` (24000 Hz unless given), and every field of ``POST /generate``: temperature, top_k,
        top_p, guidance, num_beams, repetition_penalty, genre, mood, tempo or bpm, key, instruments, seed, kind, engine.
        Waits for the sounds; ``generate_audio_async`` does not block its event loop. Raises BridgeError.
        """
        return self._begun(self._generate(texts, duration, options)).result()

    async def generate_audio_async(
        self, texts: str | Sequence[str], duration: float = 8.0, **options: Any
    ) -> GeneratedAudio:
        """See ``generate_audio``. Cancelling it stops the work."""
        return await asyncio.wrap_future(self._begun(self._generate(texts, duration, options)))

    def close(self) -> None:
        """End the engine and release the data folder; a closed model opens itself again when asked."""
        with self._starting:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def __enter__(self) -> MusicGenModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> MusicGenModel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    async def _end(self) -> None:
        self._maker = self._opening = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    def _begun(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="sample-bridge", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self) -> Maker:
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._maker is None:
                self._maker = await self._stack.enter_async_context(open_maker(self._settings))
            return self._maker

    async def _generate(self, texts: str | Sequence[str], duration: float, options: dict[str, Any]) -> GeneratedAudio:
        rate = options.pop("sample_rate", None) or SAMPLE_RATE
        if isinstance(rate, bool) or not isinstance(rate, int) or not 8000 <= rate <= 192000:
            raise InvalidRequest("sample_rate: give a whole number from 8000 to 192000.", field="sample_rate")
        prompts = [texts] if isinstance(texts, str) else list(texts)
        if not prompts:
            raise InvalidRequest('texts: give at least one text, such as ["warm pad"].', field="texts")
        wishes = [read_wish({"kind": "raw", "duration": duration, **options, "prompt": text}) for text in prompts]
        maker = await self._open()
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(wish: Wish) -> Array:
            async with at_once:
                sound, *_ = await maker.make(wish)
                content = await maker.audio(sound, "wav24")
                return await asyncio.to_thread(_mono, content, rate)

        tasks = [asyncio.create_task(one(wish)) for wish in wishes]
        try:
            rows = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        audio = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.float32)
        for place, row in zip(audio, rows, strict=True):
            place[: len(row)] = row
        return GeneratedAudio(audio, rate)


def create_musicgen_model(model_size: str | None = None, **settings: Any) -> MusicGenModel:
    """Build a model: ``model_size`` small, medium, large, melody (or base, which is medium), a hub id or a folder.

    Without it the settings decide: MusicGen when its weights are there, otherwise the built-in synthesis.
    """
    return MusicGenModel(model_size, **settings)


def save_audio_file(audio: npt.ArrayLike, path: str | Path, sample_rate: int | None = None) -> Path:
    """Write audio of shape (frames,) or (channels, frames), -1..1, to ``path``: .wav, .24.wav, .flac, .ogg or .mp3.

    ``sample_rate``: Hz; without it that of the audio, else 24000. Raises InvalidRequest for what is not audio or a
    format that is not known, OSError when the file cannot be written.
    """
    path = Path(path)
    ends = [suffix for suffix in BY_SUFFIX if path.name.lower().endswith(f".{suffix}")]
    if not ends:
        names = ", ".join(f".{name}" for name in BY_SUFFIX)
        raise InvalidRequest(f"{path.name}: the name has to end in one of {names}.", code="unknown_format")
    detached = audio.detach().cpu().numpy() if hasattr(audio, "detach") else audio
    samples = np.asarray(detached, dtype=np.float32)
    if samples.ndim == 2 and samples.shape[0] > samples.shape[1]:
        samples = samples.T
    if samples.ndim not in (1, 2) or not samples.size or np.atleast_2d(samples).shape[0] > 2:
        raise InvalidRequest(
            f"This array has the shape {samples.shape}; audio has (frames,) or (channels, frames), 1 or 2 channels. "
            "Save each text's row by itself.",
            code="bad_audio",
        )
    if not bool(np.isfinite(samples).all()):
        raise InvalidRequest("The audio holds NaN or infinity; nothing was written.", code="bad_audio")
    rate = sample_rate or int(getattr(audio, "sample_rate", SAMPLE_RATE))
    pcm = codecs.to_pcm(Clip.of(np.clip(samples, -1.0, 1.0), rate))
    path.write_bytes(codecs.encode(pcm, rate, BY_SUFFIX[max(ends, key=len)]))
    return path


def _mono(content: bytes, rate: int) -> Array:
    from bridge.audio.finishing.resample import resample

    samples, own = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    mono: Array = resample(Clip.of(samples.mean(axis=1), own), rate).samples[0]
    return mono


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()

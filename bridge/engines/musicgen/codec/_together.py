"""Parts of several sounds, decoded together: the LSTM's weights are then read once for all of them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from bridge.engines.musicgen.codec._layers import Layers
from bridge.engines.musicgen.codec._track import Track
from bridge.engines.musicgen.core_lock import CoreLock
from bridge.engines.musicgen.decoder.interface import Floats


@dataclass(frozen=True, slots=True)
class _Request:
    tracks: list[Track]
    last: bool
    audio: Future[list[Floats]] = field(default_factory=Future)


class Together:
    """Decodes for several threads, without a thread of its own: one that gets the lock decodes for all that wait."""

    def __init__(self, layers: Layers, core_lock: CoreLock | None = None) -> None:
        self._layers = layers
        self._core_lock = core_lock or CoreLock()
        self._requests: list[_Request] = []
        self._requests_lock = threading.Lock()
        self._decoding_lock = threading.Lock()

    @property
    def description(self) -> str:
        """What computes, and its precision."""
        return self._layers.description

    def decode(self, tracks: list[Track], *, last: bool) -> list[Floats]:
        """Decode the next part of each of ``tracks``; return the audio of each that is final by now."""
        request = _Request(tracks, last)
        with self._requests_lock:
            self._requests.append(request)
        with self._decoding_lock, self._core_lock:
            with self._requests_lock:
                requests, self._requests = self._requests, []
            if requests:  # else another thread decoded them while this one waited
                self._decode_requests(requests)
        return request.audio.result()

    def _decode_requests(self, requests: list[_Request]) -> None:
        try:
            tracks = [(track, request.last) for request in requests for track in request.tracks]
            hidden = self._layers.lstm([track.next_lstm_part(last=last) for track, last in tracks])
            rows = [track.add_hidden(new) for (track, _), new in zip(tracks, hidden, strict=True)]
            audio = iter(self._layers.decode(rows))
            for request in requests:
                request.audio.set_result([track.settle(next(audio), last=request.last) for track in request.tracks])
        except BaseException as error:
            for request in requests:
                if not request.audio.done():
                    request.audio.set_exception(error)
            if not isinstance(error, Exception):
                raise

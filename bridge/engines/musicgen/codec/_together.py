"""Parts of several sounds, decoded together: the LSTM's weights are then read once for all of them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from bridge.engines.musicgen.codec._layers import Layers
from bridge.engines.musicgen.codec._track import Track
from bridge.engines.musicgen.decoder._base import Floats
from bridge.engines.musicgen.turns import Turns


@dataclass(frozen=True, slots=True)
class _Wish:
    tracks: list[Track]
    last: bool
    audio: Future[list[Floats]] = field(default_factory=Future)


class Together:
    """Decodes for several threads. It needs none of its own: whoever comes while nobody works, works for all."""

    def __init__(self, layers: Layers, turns: Turns | None = None) -> None:
        self._layers = layers
        self._turns = turns or Turns()
        self._wishes: list[_Wish] = []
        self._wishing = threading.Lock()
        self._working = threading.Lock()

    @property
    def description(self) -> str:
        """By what it decodes, and how exactly."""
        return self._layers.description

    def decode(self, tracks: list[Track], *, last: bool) -> list[Floats]:
        """Decode the next part of each of ``tracks``: what of each is settled."""
        wish = _Wish(tracks, last)
        with self._wishing:
            self._wishes.append(wish)
        with self._working, self._turns:
            with self._wishing:
                wishes, self._wishes = self._wishes, []
            if wishes:  # else somebody has decoded it while this thread waited
                self._fulfil(wishes)
        return wish.audio.result()

    def _fulfil(self, wishes: list[_Wish]) -> None:
        try:
            tracks = [(track, wish.last) for wish in wishes for track in wish.tracks]
            hidden = self._layers.remember([track.to_remember(last=last) for track, last in tracks])
            rows = [track.remembered(new) for (track, _), new in zip(tracks, hidden, strict=True)]
            audio = iter(self._layers.sound(rows))
            for wish in wishes:
                wish.audio.set_result([track.sounded(next(audio), last=wish.last) for track in wish.tracks])
        except BaseException as error:
            for wish in wishes:
                if not wish.audio.done():
                    wish.audio.set_exception(error)
            if not isinstance(error, Exception):
                raise

"""What the players of one session share: tempo and key."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bridge.events import SessionMessage
from bridge.sounds.orders import Order
from prompts import Bpm, Key, Kind, SampleSpec

_KEPT = 1000


class SessionBody(BaseModel):
    """``session`` as a client sends it."""

    model_config = ConfigDict(extra="ignore")

    session: Annotated[str, Field(min_length=1, max_length=64)]
    bpm: Bpm | None = None
    key: Key | None = None


class Sessions:
    """Tempo and key by session, while the server runs; the oldest of many are forgotten."""

    def __init__(self) -> None:
        self._state: OrderedDict[str, SessionMessage] = OrderedDict()

    def state(self, session: str) -> SessionMessage | None:
        """What the players of a session share, None when no player said anything yet."""
        return self._state.get(session)

    def change(self, data: dict[str, Any]) -> SessionMessage:
        """Take over what a client says. Raises ValidationError."""
        body = SessionBody.model_validate(data)
        state = self._state.setdefault(body.session, SessionMessage(session=body.session))
        if "bpm" in data:
            state["bpm"] = body.bpm
        if "key" in data:
            state["key"] = body.key
        self._state.move_to_end(body.session)
        while len(self._state) > _KEPT:
            self._state.popitem(last=False)
        return state

    def fill(self, order: Order, hint: float | None = None) -> Order:
        """Give an order its session's tempo and key where neither its fields nor its words say any.

        ``hint``: the bpm that is playing where the order comes from; it counts when the session has none.
        """
        state = dict(self._state.get(order.session or "") or {})
        spec = order.spec
        if hint is not None and state.get("bpm") is None:
            state["bpm"] = hint
        if not state:
            return order
        kind = spec.complete().kind
        if kind is Kind.RAW:  # untreated, but the words still say whether tempo and key matter
            kind = SampleSpec(prompt=spec.prompt).complete().kind
        # Read as a one-shot, which gets no default tempo: a tempo in it was asked for.
        said = SampleSpec(prompt=spec.prompt, kind=Kind.ONESHOT, bpm=spec.bpm, key=spec.key).complete()
        update: dict[str, Any] = {}
        if said.bpm is None and kind in (Kind.LOOP, Kind.STEM):
            update["bpm"] = state.get("bpm")
        if said.key is None and kind in (Kind.LOOP, Kind.STEM, Kind.TEXTURE, Kind.PITCHED):
            update["key"] = state.get("key")
        return order.model_copy(update={"spec": spec.model_copy(update=update)}) if update else order

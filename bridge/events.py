"""Every message to a browser, one type each; ``tests/protocol/`` holds an example of each that both sides read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

from bridge.audio.facts import SampleFacts, filled

Urls: TypeAlias = list[str] | dict[str, str | list[str]]
"""All slots in their order, or, for pitched sounds, note name -> URL, or URLs where several slots have that root."""


class ErrorBody(TypedDict):
    """Why something failed: a stable code and a sentence for the player."""

    code: str
    message: str


class SoundMessage(TypedDict):
    """``sound``: a playable name has a new or better sample in slot ``n``, whose facts it shows."""

    seq: int
    name: str
    aliases: list[str]
    n: int
    standin: bool
    revision: int
    urls: Urls
    kind: str
    bpm: float | None
    bars: int | None
    beats: float | None
    key: str | None
    root: str | None
    seconds: float
    prompt: str
    engine: str
    model: str | None
    licence: str
    commercial: bool
    flags: Sequence[str]
    session: str | None
    strudel: str


class SoundRemovedMessage(TypedDict):
    """``sound_removed``: the name is gone with all its slots."""

    seq: int
    name: str


class JobMessage(TypedDict):
    """``job``: the state of a job. Numbered at its end; progress is not, and comes at most 5 times per second."""

    seq: NotRequired[int]
    job_id: str
    spec_id: str
    name: str
    n: int | None
    state: str
    progress: float
    eta_s: float | None
    error: NotRequired[ErrorBody]
    session: str | None


class HeadMessage(TypedDict):
    """``head``: the last number given; a client that is behind says hello again."""

    epoch: str
    head: int


class SessionMessage(TypedDict):
    """``session``: what the players of one session share."""

    session: str
    bpm: NotRequired[float | None]
    key: NotRequired[str | None]


class ServerFacts(TypedDict):
    """Who answers, with which engine, and why that one."""

    version: str
    engine: str
    device: str
    why: str


class HelloReply(TypedDict):
    """Acknowledgement of ``hello``: what was missed, or everything."""

    epoch: str
    head: int
    server: ServerFacts
    events: NotRequired[list[dict[str, Any]]]
    """What was missed: messages with their ``type``."""
    reset: NotRequired[Literal[True]]
    sounds: NotRequired[list[SoundMessage]]


class GenerateReply(TypedDict):
    """Acknowledgement of ``generate``."""

    job_id: str
    name: str
    n: int | None
    state: str
    standin_url: NotRequired[str]
    nearest: NotRequired[list[str]]
    """The name looks like a typing error of these."""


def sample_url(sample_id: str, extension: str = "wav") -> str:
    """The immutable address of a sample's bytes, relative to the server's root."""
    return f"/samples/{sample_id}.{extension}"


def sound_message(seq: int, snapshot: Mapping[str, Any]) -> SoundMessage:
    """Build a ``sound`` message from the catalogue's snapshot: name, slots, and the facts of slot ``n``."""
    facts = SampleFacts.of(snapshot["facts"])
    return filled(
        SoundMessage,
        facts,
        seq=seq,
        name=snapshot["name"],
        aliases=list(snapshot["aliases"]),
        n=snapshot["n"],
        standin=snapshot["standin"],
        revision=snapshot["revision"],
        urls=sound_urls(snapshot["slots"]),
        session=snapshot.get("session"),
        strudel=strudel_code(snapshot["name"], _take(snapshot), facts),
    )


def sound_urls(slots: Sequence[Mapping[str, Any]]) -> Urls:
    """URLs of all slots; see ``by_root``."""
    return by_root([(slot.get("root"), sample_url(slot["sample_id"])) for slot in slots])


def by_root(addresses: Sequence[tuple[str | None, str]]) -> Urls:
    """Arrange (root, URL) of all slots as Strudel plays them in tune.

    By note when every slot knows its root: Strudel takes the nearest root, and a list would be repitched from c2. ``n``
    then counts the slots of that root, so as long as all have one root it is the slot, as in a list. Otherwise a list.
    """
    notes: dict[str, list[str]] = {}
    for root, url in addresses:
        if not root:
            return [each for _, each in addresses]
        notes.setdefault(root, []).append(url)
    return {root: urls[0] if len(urls) == 1 else urls for root, urls in notes.items()} if notes else []


def strudel_code(name: str, n: int, facts: SampleFacts) -> str:
    """Code to paste that plays a slot as its kind wants to be played; one cycle is one bar of four beats."""
    sound = f's("{name}:{n}")' if n else f's("{name}")'
    if facts.root:
        return f'note("{facts.root}").{sound}'
    if facts.bars:
        return f"{sound}.loopAt({(facts.beats or facts.bars * 4) / 4:g})"
    cycles = facts.seconds * (facts.bpm or 120.0) / 240.0
    return sound if cycles <= 1.0 else f"{sound}.slow({-int(-cycles // 1)})"


def _take(snapshot: Mapping[str, Any]) -> int:
    """What a pattern writes as ``n`` to play slot ``n``: where slots have roots, its place among those of its root."""
    slots, n = snapshot["slots"], snapshot["n"]
    if not all(slot.get("root") for slot in slots):
        return int(n)
    return sum(slot["root"] == slots[n]["root"] for slot in slots[:n])


def wire_event(kind: str, seq: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """One numbered event of the catalogue's log as the message that its listeners get."""
    if kind == "sound":
        return dict(sound_message(seq, data))
    if kind == "sound_removed":
        return dict(SoundRemovedMessage(seq=seq, name=data["name"]))
    return {"seq": seq, **data}

"""Which calls take something away, and what a person is asked about each.

Every DELETE, PATCH and PUT stands here or in ``HARMLESS``; a test holds the routes to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from bridge.api.body import read_json
from bridge.api.keys import SERVICE, SETS, SETTINGS
from bridge.api.security.confirm.pending import Question
from bridge.errors import BridgeError
from bridge.system.threads import FILES
from cache import Sound

Asking: TypeAlias = Callable[[web.Request], Awaitable[Question | None]]


async def _delete_sound(request: web.Request) -> Question | None:
    service = request.app[SERVICE]
    sound = await service.library.sound(request.match_info["keyword"])
    back = _how_long(service.settings.undo_seconds)
    return Question(
        title=f"Delete {sound.name}?",
        text=f"{_about(sound)} Patterns that use it go silent. While there is room, you can bring it back for {back}.",
        yes="Delete",
        no="Keep it",
        what=sound.name,
    )


async def _change_sound(request: web.Request) -> Question | None:
    document = await read_json(request)
    if not isinstance(document, dict):
        return None
    new, unpinned = document.get("name"), document.get("pinned") is False
    if not isinstance(new, str) and not unpinned:
        return None  # pinning, and taking a deletion back; anything else is refused as wrong
    name, texts = request.match_info["keyword"], []
    try:
        sound = await request.app[SERVICE].library.sound(name)
    except BridgeError:
        if document.get("deleted") is not False:
            raise
    else:
        name = sound.name
        texts.append(_about(sound))
    if isinstance(new, str):
        texts.append("Patterns that use the old name go on playing.")
    if unpinned:
        texts.append("It may be removed when there is no room for new sounds.")
    if isinstance(new, str):
        return Question(f"Rename {name} to {new[:64]}?", " ".join(texts), yes="Rename", no="Keep the name", what=name)
    return Question(f"Unpin {name}?", " ".join(texts), yes="Unpin", no="Keep it pinned", what=name)


async def _delete_set(request: web.Request) -> Question | None:
    sets, settings = request.app[SETS], request.app[SETTINGS]
    found = await FILES.run(sets.get, request.match_info["id"])
    count = len(found.versions)
    kept = f"its {count} versions" if count > 1 else "its one version"
    return Question(
        title=f"Delete the set {found.head.name}?",
        text=f"The bridge forgets {kept}. While there is room, you can bring it back for "
        f"{_how_long(settings.undo_seconds)}.",
        yes="Delete",
        no="Keep it",
        what=found.head.name,
    )


async def _forget(request: web.Request) -> Question | None:
    document = await read_json(request)
    if not isinstance(document, dict):
        return None
    name, what = document.get("name"), document.get("what")
    if isinstance(name, str):
        title = f"Forget what {name[:64]} was made of?"
    elif what == "all":
        title = "Forget all prompts, and the names of all sounds?"
    elif what == "prompts":
        title = "Forget all prompts?"
    else:
        return None  # refused as wrong
    return Question(title, "This cannot be undone.", yes="Forget", no="Keep the words")


CONFIRMED: Mapping[tuple[str, str], Asking] = {
    ("DELETE", "/sounds/{keyword}"): _delete_sound,
    ("PATCH", "/sounds/{keyword}"): _change_sound,
    ("DELETE", "/sets/{id}"): _delete_set,
    ("POST", "/forget"): _forget,
}
HARMLESS = frozenset(
    {
        ("DELETE", "/api/v1/jobs/{job_id}"),
        ("DELETE", "/session"),
        ("PUT", "/sets/{id}"),
        ("PATCH", "/sets/{id}"),
    }
)
"""What can be asked for again, a job and the page's own session; and what only adds: a set's version."""


def _about(sound: Sound) -> str:
    takes = len(sound.slots)
    return f"It has {takes} takes." if takes > 1 else "It has one take."


def _how_long(seconds: float) -> str:
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}s" if count > 1 else f"one {word}"
    return f"{int(seconds)} seconds"

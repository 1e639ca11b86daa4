"""The clients connected by Socket.IO, and the room that decides what each is told."""

from __future__ import annotations

from typing import Final

import socketio
from aiohttp import web

from bridge.errors import Forbidden
from bridge.rights import CALLER, Caller, Callers, require
from bridge.rights.table import MESSAGES

LISTENERS: Final = "listeners"
"""The room of clients that are told everything."""
STRANGERS: Final = "strangers:"
"""Rooms of clients that are told only their own words and jobs: one for each owner of jobs, whose name follows."""
MOST_WRONG_KEYS: Final = 5
"""Wrong keys on one connection, until it is closed."""


class Clients:
    """The callers behind the connections of one Socket.IO server."""

    def __init__(self, sio: socketio.AsyncServer, callers: Callers) -> None:
        self._sio = sio
        self._callers = callers
        self._of: dict[str, Caller] = {}
        self._remote: dict[str, str | None] = {}
        self._wrong: dict[str, int] = {}
        self._room: dict[str, str] = {}
        """The room in which each gets events, once it has said hello."""
        self.spoke: set[str] = set()
        """Clients that have sent a message that was allowed."""

    def came(self, sid: str, request: web.Request) -> None:
        """A client has connected; the guard has looked at its handshake."""
        self._of[sid] = request[CALLER]
        self._remote[sid] = request.remote

    def left(self, sid: str) -> None:
        """A client has gone."""
        for kept in (self._of, self._remote, self._wrong, self._room):
            kept.pop(sid, None)
        self.spoke.discard(sid)

    def has_key(self, sid: str) -> bool:
        """Tell whether a client has shown a key, or is a page whose session stands for one."""
        caller = self._of.get(sid)
        return caller is not None and caller.credential != "none"

    def beside(self, sid: str) -> int:
        """Count the clients without a key at the address of this one, itself among them; 0 when it has a key."""
        if self.has_key(sid):
            return 0
        address = self._remote.get(sid)
        return sum(remote == address and not self.has_key(other) for other, remote in self._remote.items())

    def oldest_without_key(self) -> str | None:
        """Return who came first of those without a key."""
        return next((sid for sid in self._of if not self.has_key(sid)), None)

    async def show(self, sid: str, token: str) -> None:
        """A client shows a key in a message. A wrong one is not an error: it may read, as without. Raises Busy."""
        caller = self._of.get(sid)
        if caller is None:
            return
        if (known := self._callers.with_token(caller, token)) is not None:
            self._of[sid] = known
        elif token and self._callers.is_wrong(token):
            self._wrong[sid] = self._wrong.get(sid, 0) + 1
            await self._callers.guesses.wrong(self._remote.get(sid), "page")
            if self._wrong.get(sid, 0) >= MOST_WRONG_KEYS:
                await self._sio.disconnect(sid)

    def allowed(self, sid: str, message: str) -> Caller:
        """Say who sends a message. Raises Forbidden unless it may."""
        caller = self._of.get(sid)
        if caller is None:
            raise Forbidden("This connection has ended. Connect again.", code="gone")
        caller = self._of[sid] = self._callers.still(caller)
        require(caller, MESSAGES[message])
        self.spoke.add(sid)
        return caller

    async def listen(self, sid: str) -> None:
        """Let a client get events, as far as it may."""
        caller = self._of.get(sid)
        if caller is None:
            return
        room = f"{STRANGERS}{caller.owner or ''}" if caller.secluded else LISTENERS
        before = self._room.get(sid)
        if before == room:
            return
        if before is not None:
            await self._sio.leave_room(sid, before)
        self._room[sid] = room
        await self._sio.enter_room(sid, room)

    async def look_again(self) -> None:
        """Move clients whose session has ended to the room that they may be in."""
        for sid, caller in list(self._of.items()):
            if (still := self._callers.still(caller)) is not caller:
                self._of[sid] = still
                if sid in self._room:
                    await self.listen(sid)

    @property
    def strangers(self) -> list[str]:
        """Rooms of strangers in which somebody is."""
        rooms = self._sio.manager.rooms.get("/", {})
        return [room for room in rooms if isinstance(room, str) and room.startswith(STRANGERS)]

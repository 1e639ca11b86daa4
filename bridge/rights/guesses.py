"""Wrong keys: they are answered later and later, counted, and logged at a bounded rate. A right key never waits."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.errors import TooMany

logger = logging.getLogger(__name__)

FIRST_SECONDS = 0.05
"""Delay of an address's first wrong key; each further one doubles it."""
MOST_SECONDS = 5.0
FORGET_SECONDS = 600.0
"""An address that has been quiet for this long begins again."""
MOST_ADDRESSES = 1024
MOST_HELD = 128
"""Answers that are held back at the same time, of all addresses; further wrong keys are told to come later."""
LOG_SECONDS = 60.0
"""One line a minute says how many wrong keys there were."""


@dataclass(slots=True)
class _Address:
    count: int
    last: float


class Guesses:
    """Wrong keys by address (of IPv6: by /64).

    ``on_wrong`` is told of each wrong key, by the door at which it was shown: ``http``, ``page`` (Socket.IO).
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_wrong: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._held = 0
        self._unsaid = 0
        self._said: float | None = None
        self._on_wrong = on_wrong

    async def wrong(self, address: str | None, door: str) -> None:
        """Note a wrong key, and return when it may be answered. Raises TooMany when too many wait already."""
        self._on_wrong(door)
        seconds = self._note(_network(address))
        if self._held >= MOST_HELD:
            raise TooMany("Too many wrong keys were sent. Wait a minute, then check the key.")
        self._held += 1
        try:
            await self._sleep(seconds)
        finally:
            self._held -= 1

    def _note(self, address: str) -> float:
        now = self._clock()
        known = self._addresses.pop(address, None)
        if known is None or now - known.last > FORGET_SECONDS:
            known = _Address(0, now)
        known.count, known.last = known.count + 1, now
        self._addresses[address] = known
        while len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        self._unsaid += 1
        if self._said is None or now - self._said >= LOG_SECONDS:
            self._said, told, self._unsaid = now, self._unsaid, 0
            logger.warning("%d wrong %s sent, the last from %s", told, "key was" if told == 1 else "keys were", address)
        return min(FIRST_SECONDS * 2.0 ** min(known.count - 1, 20), MOST_SECONDS)


def _network(address: str | None) -> str:
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "an unknown address"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)

"""Telling another program by a POST to its ``callback_url``, without becoming its way into this network.

The address is looked at twice: when it is given, so that a wrong one is refused before any work, and when the socket
is made, because a name may lead elsewhere by then. Redirects are not followed, the answer's body is not read, and what
takes longer than five seconds has failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
import socket
import time
from collections.abc import Iterable
from typing import Any, Final

import aiohttp
from yarl import URL

from bridge import __version__
from bridge.errors import BridgeError, InvalidRequest
from bridge.system import addresses
from bridge.system.addresses import NotPublic, Resolve, Table

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 5.0
"""How long one attempt may take, from the name's look-up to the status."""
ANSWER_BYTES: Final = 1024
"""Of the answer's body this much is taken in at most, and thrown away."""
ATTEMPTS: Final = 14
"""After this many, over some seven hours, a callback is given up."""
_FIRST_SECONDS, _LONGEST_SECONDS = 2.0, 3600.0
_LOOK_UP_SECONDS = 3.0
_LONGEST_URL = 2048


class CallbackFailed(BridgeError):
    """The receiver did not take it; its message is for the log."""

    default_code = "callback_failed"


def wait_before(attempt: int) -> float:
    """Seconds to wait after the ``attempt``-th failure (from 1): three times as long each time, at most an hour.

    A tenth of it is chance, so that many callers of one receiver do not come back together.
    """
    return min(_FIRST_SECONDS * 3.0 ** min(attempt - 1, 20), _LONGEST_SECONDS) * random.uniform(0.9, 1.1)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the header ``X-Bridge-Signature``: HMAC-SHA256 of ``<timestamp>.<body>``, in hexadecimal digits."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Callbacks:
    """Checks addresses and sends to them. ``hosts``: names that may lie outside the public internet.

    ``table`` and ``resolve``: what is public, and where names lead; tests give others.
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        secret: str | None = None,
        *,
        table: Table = addresses.PUBLIC,
        resolve: Resolve | None = None,
    ) -> None:
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._secret = secret
        self._table = table
        self._resolve = resolve

    async def check(self, text: str) -> None:
        """Raise InvalidRequest unless ``text`` is an address to which a callback may go.

        A name that cannot be looked up now passes: it is looked up again for each attempt.
        """
        url = _read(text)
        if self._is_allowed(url):
            return
        host = addresses.plain_name(url.host or "")
        if not self._table.may_be_public(host):
            raise _refused(f"'{host[:64]}' belongs to a private network")
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await self._looked_up(host, url.port or 80)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return
        if not all(self._table.is_public(str(each[4][0])) for each in found):
            raise _refused(f"'{host[:64]}' belongs to a private network")

    async def send(self, text: str, body: bytes, key: str) -> None:
        """POST ``body``, JSON, once. ``key`` is the same at every attempt. Raises CallbackFailed unless it is a 2xx."""
        url = _read(text)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"sample-bridge/{__version__}",
            "Idempotency-Key": key,
        }
        if self._secret is not None:
            headers["X-Bridge-Signature"] = signature(self._secret, int(time.time()), body)
        connector = aiohttp.TCPConnector(
            socket_factory=_any_socket if self._is_allowed(url) else self._public_socket, force_close=True
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    read_bufsize=ANSWER_BYTES,
                    trust_env=False,
                ) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError:
            raise CallbackFailed(f"no answer within {ANSWER_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallbackFailed(f"not reached ({type(error).__name__}: {str(error)[:200]})") from None
        if not 200 <= status < 300:
            raise CallbackFailed(f"answered {status}" + (", a redirect" if 300 <= status < 400 else ""))

    async def _looked_up(self, host: str, port: int) -> list[tuple[Any, ...]]:
        if self._resolve is not None:
            return list(self._resolve(host, port, type=socket.SOCK_STREAM))
        return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))

    def _public_socket(self, address: Any) -> socket.socket:
        """Make the socket that aiohttp connects; the address is the one that it connects to."""
        if not self._table.is_public(str(address[4][0])):
            raise NotPublic("not an address of the public internet")
        return _any_socket(address)

    def _is_allowed(self, url: URL) -> bool:
        host = (url.host or "").lower().rstrip(".")
        return host in self._hosts or f"{host}:{url.port}" in self._hosts


def _read(text: str) -> URL:
    """Read an address. Raises InvalidRequest."""
    try:
        url = URL(text)
        _ = url.port  # read late, and wrong here
    except ValueError:
        raise _refused("it is not an address") from None
    if len(text) > _LONGEST_URL or any(character.isspace() or not character.isprintable() for character in text):
        raise _refused("it is not an address")
    if url.scheme not in ("http", "https") or not url.host:
        raise _refused("it begins with neither http:// nor https://")
    if url.user is not None or url.password is not None:
        raise _refused("it holds a password, which would stand in logs")
    return url


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"callback_url: {why}. Give an http or https address of the public internet, or add its host to "
        "BRIDGE_CALLBACK_HOSTS.",
        code="callback_refused",
        field="callback_url",
    )


def _any_socket(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)

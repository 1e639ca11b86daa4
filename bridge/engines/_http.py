"""Calls to a provider: patient, repeated where that can help, and given up the moment nobody wants the sound.

Each exchange has a thread of its own, so that the engine's can listen for a cancel; giving up closes its socket.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from bridge.engines._base import Report
from bridge.errors import EngineError, EngineTimeout, EngineUnavailable

MOST_BYTES: Final = 96 << 20
RETRIES: Final = 3
LONGEST_WAIT: Final = 60.0
"""A provider that wants us to come back later than that is told of, and not waited for."""
_CONNECT_SECONDS: Final = 15.0
_LISTEN_SECONDS: Final = 0.05
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_MOST_REDIRECTS: Final = 3
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Patience:
    """How long one sound may take, with progress told and a cancel heard while waiting."""

    def __init__(self, report: Report, seconds: float, provider: str) -> None:
        self._report, self._seconds, self._provider = report, seconds, provider
        self._begun = time.monotonic()

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(self._seconds - self.passed, 0.0)

    def listen(self) -> None:
        """Raise JobCancelled when nobody wants the sound any more, EngineTimeout when it has taken too long.

        Nobody knows how long a provider takes: half of the way is told after 20 seconds.
        """
        self._report(0.01 + 0.9 * self.passed / (self.passed + 20.0))
        if self.left <= 0:
            raise EngineTimeout(
                f"{self._provider} has not finished within {self._seconds:g} seconds. Ask for something shorter, or "
                "raise BRIDGE_CLOUD_TIMEOUT."
            )

    def sleep(self, seconds: float) -> None:
        """Wait, listening."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.listen()
            time.sleep(min(left, _LISTEN_SECONDS))
        self.listen()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    url: str

    @property
    def media_type(self) -> str:
        """Such as ``audio/wav``; empty where none is said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The document; ValueError when it is none."""
        return json.loads(self.body)


class _Lost(Exception):
    """No answer came. ``sent``: the provider may have got the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


@dataclass
class _Exchange:
    """One request and its answer, in a thread."""

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    lost: _Lost | None = None
    _socket: socket.socket | None = None

    def run(self) -> None:
        sent = False
        parts = urlsplit(self.url)
        connection = _connection(parts)
        try:
            connection.connect()
            self._socket = connection.sock
            connection.sock.settimeout(None)  # Patience ends it
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            sent = True
            connection.request(self.method, path, self.body, dict(self.headers))
            response = connection.getresponse()
            content = bytearray()
            while piece := response.read1(1 << 16):
                content += piece
                if len(content) > MOST_BYTES:
                    raise _Lost(f"it sends more than {MOST_BYTES >> 20} MB", sent=True)
            if response.length:
                raise _Lost("it broke off in the middle of its answer", sent=True)
            headers = {name.lower(): value for name, value in response.getheaders()}
            self.answer = Answer(response.status, headers, bytes(content), self.url)
        except _Lost as error:
            self.lost = error
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            self.lost = _Lost(" ".join(why.split())[:200], sent=sent)
        finally:
            connection.close()
            self.done.set()

    def give_up(self) -> None:
        """Close the socket: the thread ends, and the other side sees that nobody listens."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Provider:
    """Another computer that makes sounds. ``secret`` is taken out of every sentence that quotes it."""

    def __init__(self, name: str, address: str, token: str | None, *, setting: str) -> None:
        parts = _split(address)
        self.name, self._token, self._setting = name, token, setting
        self._origin = _origin(parts)
        # A token is never sent where everybody on the way can read it.
        self._trusted = parts.scheme == "https" or parts.hostname in _LOOPBACK

    def ask(
        self,
        method: str,
        url: str,
        patience: Patience,
        *,
        document: Any = None,
        headers: Mapping[str, str] | None = None,
        on_abandoned: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """Answer what the provider says with a status of the 200s.

        Repeats what was too much for it (429, 5xx), when it says, and what did not reach it. ``on_abandoned`` is told
        of the answer that comes when nobody waits any more: something may have begun there that has to be stopped.

        Raises EngineError, EngineUnavailable, EngineTimeout, each with a sentence; JobCancelled.
        """
        body = None if document is None else json.dumps(document).encode()
        sent = {"Accept": "application/json, audio/*", "User-Agent": "sample-bridge", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        attempt = redirects = 0
        while True:
            own = _origin(_split(url)) == self._origin
            signed = {"Authorization": f"Bearer {self._token}"} if own and self._token and self._trusted else {}
            try:
                answer = self._exchange(_Exchange(method, url, body, sent | signed), patience, on_abandoned)
            except _Lost as lost:
                # What may have arrived is not sent again: it might be made, and paid, twice.
                if attempt >= RETRIES or (lost.sent and method != "GET"):
                    raise self._unreachable(lost) from None
                wait = float(2**attempt)
            else:
                if answer.status in {301, 302, 303, 307, 308} and method == "GET" and redirects < _MOST_REDIRECTS:
                    redirects += 1
                    url = self.allowed(urljoin(url, answer.headers.get("location", "")))
                    continue
                if answer.status not in _TRY_AGAIN:
                    return self._checked(answer)
                asked = retry_after(answer.headers.get("retry-after"))
                if attempt >= RETRIES or (asked or 0.0) > min(LONGEST_WAIT, patience.left):
                    raise self._too_busy(answer, asked)
                wait = float(2**attempt) if asked is None else asked
            attempt += 1
            patience.sleep(wait)

    def allowed(self, url: str) -> str:
        """Pass an address that the provider names: its own, or a public-looking https one.

        Raises EngineError for any other: an answer must not make us ask around in this network.
        """
        parts = _split(url)
        if _origin(parts) != self._origin and (parts.scheme != "https" or parts.hostname in _LOOPBACK):
            raise EngineError(f"{self.name} names the address {url[:200]}, which is not fetched: it is not https.")
        return url

    def tell(self, method: str, url: str) -> None:
        """Say something whose answer does not matter, from a thread of its own."""
        signed = {"Authorization": f"Bearer {self._token}"} if self._token and self._trusted else {}
        exchange = _Exchange(method, url, b"", {"User-Agent": "sample-bridge", **signed})
        threading.Thread(target=exchange.run, daemon=True).start()

    def _exchange(
        self, exchange: _Exchange, patience: Patience, on_abandoned: Callable[[Answer], None] | None
    ) -> Answer:
        patience.listen()
        threading.Thread(target=exchange.run, daemon=True).start()
        try:
            while not exchange.done.wait(_LISTEN_SECONDS):
                patience.listen()
        except BaseException:
            if on_abandoned is None:
                exchange.give_up()
            else:
                threading.Thread(target=_await_abandoned, args=(exchange, on_abandoned), daemon=True).start()
            raise
        if exchange.answer is None:
            raise exchange.lost or _Lost("no answer", sent=True)
        return exchange.answer

    def quoted(self, text: str) -> str:
        """What the provider wrote, short, on one line, without our secret."""
        if self._token:
            text = text.replace(self._token, "***")
        return " ".join(text.split())[:300]

    def _checked(self, answer: Answer) -> Answer:
        status = answer.status
        if 200 <= status < 300:
            return answer
        said = self.quoted(_complaint(answer))
        because = f": {said}" if said else ""
        if status in {401, 403}:
            raise EngineUnavailable(
                f"{self.name} refuses the token (HTTP {status}{because}). Check {self._setting}.",
                code="provider_refused",
            )
        if status == 402:
            raise EngineUnavailable(f"{self.name} wants to be paid first (HTTP 402{because}).", code="provider_refused")
        if status in {404, 410}:
            raise EngineUnavailable(
                f"{self.name} has nothing at {urlsplit(answer.url).path} (HTTP {status}{because}). Check the address "
                "and the model in the settings.",
                code="provider_unknown",
            )
        if 300 <= status < 400:
            raise EngineError(f"{self.name} sends us elsewhere (HTTP {status}). Set the address that it names.")
        if status in {400, 413, 415, 422}:
            raise EngineError(f"{self.name} does not take this request (HTTP {status}{because}).")
        raise EngineError(f"{self.name} answers HTTP {status}{because}.")

    def _too_busy(self, answer: Answer, wait: float | None) -> EngineError:
        said = self.quoted(_complaint(answer))
        later = f"in {wait:.0f} seconds" if wait else "later"
        return EngineError(
            f"{self.name} cannot do it now (HTTP {answer.status}{f': {said}' if said else ''}). Try again {later}.",
            code="engine_unreachable" if answer.status != 429 else "provider_busy",
        )

    def _unreachable(self, lost: _Lost) -> EngineError:
        if lost.sent:
            return EngineError(f"{self.name} took the request and gave no whole answer: {self.quoted(str(lost))}.")
        return EngineError(
            f"{self.name} cannot be reached ({self.quoted(str(lost))}). Check the address, and that it runs.",
            code="engine_unreachable",
        )


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None for none or nonsense."""
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip()):
        return float(value)
    try:
        due = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max((due - (now or datetime.now(UTC))).total_seconds(), 0.0)


def _await_abandoned(exchange: _Exchange, on_abandoned: Callable[[Answer], None]) -> None:
    if exchange.done.wait(LONGEST_WAIT) and exchange.answer is not None:
        with contextlib.suppress(Exception):  # nobody is left to tell
            on_abandoned(exchange.answer)
    exchange.give_up()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise EngineError(f"'{url[:200]}' is no web address.")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=_CONNECT_SECONDS, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=_CONNECT_SECONDS)


def _complaint(answer: Answer) -> str:
    """What an answer that is an error says, where it says something."""
    try:
        document = answer.json()
    except ValueError:
        return answer.body[:200].decode("utf-8", "replace") if answer.media_type == "text/plain" else ""
    while isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return document if isinstance(document, str) else ""
    for name in ("detail", "error", "message", "title"):
        said = document.get(name)
        said = said.get("message") if isinstance(said, dict) else said
        if isinstance(said, str) and said:
            return said
        if said:
            return json.dumps(said)
    return ""

"""Calls to a provider: patient, repeated where that can help, and given up the moment the sound is no longer wanted.

Each exchange has a thread of its own, so that the engine's can listen for a cancel; giving up closes its socket.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from bridge.errors import LOST, PASSING, EngineError, EngineTimeout, EngineUnavailable
from bridge.plugins.engine import Report
from bridge.system import addresses
from bridge.system.addresses import NotPublic, Resolve, Table

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 96 << 20
RETRIES: Final = 3
LONGEST_WAIT: Final = 60.0
"""A provider that wants us to come back later than that is told of, and not waited for."""
_CONNECT_SECONDS: Final = 15.0
_LISTEN_SECONDS: Final = 0.05
_TRY_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_NOT_BEGUN: Final = frozenset({408, 429, 503, 529})
"""Of these the ones that say that nothing was done: a request that makes something may be sent again."""
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
        """Raise JobCancelled when the sound is no longer wanted, EngineTimeout when it has taken too long.

        How long a provider takes is unknown: half of the way is told after 20 seconds.
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
    """No answer came. ``sent``: the provider may have got the request. ``refused``: we do not go there."""

    def __init__(self, why: str, *, sent: bool, refused: bool = False) -> None:
        super().__init__(why)
        self.sent, self.refused = sent, refused


def _dial(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), _CONNECT_SECONDS)


@dataclass
class _Exchange:
    """One request and its answer, in a thread."""

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    dial: Callable[[str, int], socket.socket] = _dial
    """Connects to a host and port; of an address that an answer names it refuses what is not public."""
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    lost: _Lost | None = None
    _socket: socket.socket | None = None

    def run(self) -> None:
        sent = False
        parts = urlsplit(self.url)
        connection = _connection(parts, self.dial)
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
        except NotPublic as error:
            self.lost = _Lost(str(error), sent=False, refused=True)
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            self.lost = _Lost(" ".join(why.split())[:200], sent=sent)
        finally:
            connection.close()
            self.done.set()

    def give_up(self) -> None:
        """Close the socket: the thread ends, and the other side sees that the connection is gone."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Provider:
    """Another computer that makes sounds. ``token`` is taken out of every sentence that quotes it.

    ``table`` and ``resolve``: which addresses an answer may name; tests give others.
    """

    def __init__(
        self,
        name: str,
        address: str,
        token: str | None,
        *,
        setting: str,
        table: Table | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        parts = _split(address)
        self.name, self._token, self._setting = name, token, setting
        self._table, self._resolve = table or addresses.PUBLIC, resolve
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

        Repeats what did not reach it, and what it refused before the start (429, 503), at the time that it names. A GET
        is repeated after any 5xx; another method after a 5xx only when the answer says when to come again.
        ``on_abandoned`` is told of an answer that comes when no request waits for it any more: work may have started
        there that has to be stopped.

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
                dial = _dial if own else self._dial_public
                answer = self._exchange(_Exchange(method, url, body, sent | signed, dial), patience, on_abandoned)
            except _Lost as lost:
                # What may have arrived is not sent again: it might be made, and paid, twice.
                if attempt >= RETRIES or lost.refused or (lost.sent and method != "GET"):
                    raise self._unreachable(lost, None if own else url) from None
                wait = float(2**attempt)
            else:
                if answer.status in {301, 302, 303, 307, 308} and method == "GET" and redirects < _MOST_REDIRECTS:
                    redirects += 1
                    url = self.allowed(urljoin(url, answer.headers.get("location", "")))
                    continue
                asked = retry_after(answer.headers.get("retry-after"))
                if answer.status not in _TRY_AGAIN or (
                    method != "GET" and asked is None and answer.status not in _NOT_BEGUN
                ):
                    return self._checked(answer)
                if attempt >= RETRIES or (asked or 0.0) > min(LONGEST_WAIT, patience.left):
                    raise self._too_busy(answer, asked)
                wait = float(2**attempt) if asked is None else asked
            attempt += 1
            patience.sleep(wait)

    def fetch(self, url: str, patience: Patience) -> Answer:
        """Get a file that an answer names. Raises as ``ask`` does."""
        return self.ask("GET", self.allowed(url), patience)

    def allowed(self, url: str) -> str:
        """Pass an address that the provider names: its own, or one that is https and may be public.

        Raises EngineError for any other: an answer must not make us ask around in this network. Where a name leads is
        looked at when it is connected to.
        """
        parts = _split(url)
        named = parts.username is None and parts.password is None
        if _origin(parts) == self._origin and named:
            return url
        if parts.scheme != "https" or not named or not self._table.may_be_public(parts.hostname or ""):
            raise self._not_fetched(url)
        return url

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """Hold the block that follows an answer: the provider has worked, so nothing that fails now may repeat it.

        Raises EngineError with code ``answer_lost`` in place of what would be tried again.
        """
        try:
            yield
        except MemoryError:
            raise EngineError(
                f"What {self.name} answered needs more memory than there is. {self._paid}", code=LOST
            ) from None
        except EngineError as error:
            if error.code not in PASSING:
                raise
            raise EngineError(f"{error.message} {self._paid}", code=LOST) from None

    def tell(self, method: str, url: str) -> None:
        """Say something whose answer does not matter, from a thread of its own."""
        signed = {"Authorization": f"Bearer {self._token}"} if self._token and self._trusted else {}
        exchange = _Exchange(method, url, b"", {"User-Agent": "sample-bridge", **signed})
        threading.Thread(target=exchange.run, daemon=True).start()

    @property
    def _paid(self) -> str:
        return f"{self.name} may charge for it, so the request is not repeated automatically."

    def _dial_public(self, host: str, port: int) -> socket.socket:
        return self._table.reach(host, port, _CONNECT_SECONDS, self._resolve)

    def _not_fetched(self, url: str) -> EngineError:
        """One sentence for all that can be wrong: it must not tell what is found at an address."""
        parts = _split(url)
        shown = f"{parts.scheme}://{parts.hostname}"[:200]
        return EngineError(
            f"{self.name} names the address {shown}, which is not fetched: it is not https, it is not of the public "
            "internet, or no server answers there.",
            code=LOST,
        )

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
            raise EngineUnavailable(f"{self.name} asks for payment first (HTTP 402{because}).", code="provider_refused")
        if status in {404, 410}:
            raise EngineUnavailable(
                f"{self.name} has nothing at {urlsplit(answer.url).path} (HTTP {status}{because}). Check the address "
                "and the model in the settings.",
                code="provider_unknown",
            )
        if 300 <= status < 400:
            raise EngineError(f"{self.name} redirects elsewhere (HTTP {status}). Set the address that it names.")
        if status in {400, 413, 415, 422}:
            raise EngineError(f"{self.name} does not take this request (HTTP {status}{because}).")
        if status >= 500:
            raise EngineError(f"{self.name} answers HTTP {status}{because}. {self._paid}")
        raise EngineError(f"{self.name} answers HTTP {status}{because}.")

    def _too_busy(self, answer: Answer, wait: float | None) -> EngineError:
        said = self.quoted(_complaint(answer))
        later = f"in {wait:.0f} seconds" if wait else "later"
        return EngineError(
            f"{self.name} cannot do it now (HTTP {answer.status}{f': {said}' if said else ''}). Try again {later}.",
            code="engine_unreachable" if answer.status != 429 else "provider_busy",
        )

    def _unreachable(self, lost: _Lost, foreign: str | None) -> EngineError:
        """``foreign``: the address, where it is not the provider's own."""
        if foreign is not None:
            logger.warning("%s: %s was not fetched: %s", self.name, foreign[:200], lost)
            return self._not_fetched(foreign)
        if lost.sent:
            return EngineError(f"{self.name} took the request and gave no complete answer: {self.quoted(str(lost))}.")
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
        with contextlib.suppress(Exception):  # there is no caller left to tell
            on_abandoned(exchange.answer)
    exchange.give_up()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise EngineError(f"'{url[:200]}' is not a web address.")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


class _Http(http.client.HTTPConnection):
    """Connects as it is told to."""

    def __init__(self, host: str, port: int, dial: Callable[[str, int], socket.socket]) -> None:
        super().__init__(host, port)
        self._connect_to = dial

    def connect(self) -> None:
        """Connect."""
        self.sock = self._connect_to(self.host, self.port)


class _Https(http.client.HTTPSConnection):
    """Connects as it is told to, and encrypts."""

    def __init__(self, host: str, port: int, dial: Callable[[str, int], socket.socket]) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(host, port, context=self._tls)
        self._connect_to = dial

    def connect(self) -> None:
        """Connect, and look at the certificate."""
        self.sock = self._connect_to(self.host, self.port)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _connection(parts: SplitResult, dial: Callable[[str, int], socket.socket]) -> http.client.HTTPConnection:
    _, host, port = _origin(parts)
    kind = _Https if parts.scheme == "https" else _Http
    return kind(host or "", port or 0, dial)


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

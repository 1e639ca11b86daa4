"""The guard: the first middleware, in front of every route, of Socket.IO and of every WebSocket.

A server on loopback is reached by every page that a browser has open. What keeps them apart (decision 14):

=================  ====================================================================================  ======
what is looked at  what passes                                                                           else
=================  ====================================================================================  ======
Host               loopback names, IP addresses, names without a dot, the bound and the listed names     421
Origin             none, our own, loopback pages, https://strudel.cc, the listed ones; ``null`` never    403
body               ``application/json``, ``multipart/form-data``, or none                                415
no Origin          of what another site asks for (Sec-Fetch-Site), only what lies ready: ``strangers``      403
exposed, no key    reading                                                                               403
key set            reading; anything else with ``X-API-Key`` or ``Authorization: Bearer``                403
=================  ====================================================================================  ======

A page cannot give a WebSocket headers: its key may also be a subprotocol, see ``key_of_protocols``.
``/samples/*`` are public: any page may read them, even one without an origin. Socket.IO's key travels in ``hello``,
where the hub asks ``check_key``.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from bridge.access import asked_by, check_key, exposure_notice, is_exposed, is_loopback, key_name, key_of_protocols
from bridge.api.errors import error_response
from bridge.api.strangers import check_stranger, embedding_headers, refusal
from bridge.errors import BridgeError, Forbidden, Misdirected, UnsupportedMedia
from bridge.settings import Settings

__all__ = ["check_key", "exposure_notice", "guard", "is_exposed"]

_K = TypeVar("_K")

logger = logging.getLogger(__name__)

PUBLIC = "/samples/"
"""Below this everything may be read from everywhere."""
STARTS_WORK = ("/gen/", "/ws/stream/")
"""GETs below these make sounds, so they are no plain reads."""
KEY_IN_HELLO = "/socket.io/"
"""Below this the key comes later, in a message."""

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_LOOPBACK_ORIGIN_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_STRUDEL = "https://strudel.cc"
_FETCHES = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_READS = _FETCHES | {hdrs.METH_OPTIONS}
_WITH_BODY = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH})
_BODY_TYPES = frozenset({"application/json", "multipart/form-data"})
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_MOST_VERDICTS = 1024
_MOST_WARNINGS = 32

_CSP = istr("Content-Security-Policy")
_EVERYWHERE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_PUBLIC_HEADERS = _EVERYWHERE | {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "*",
}
_CLOSED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-None-Match, Prefer, Range, X-API-Key, "
    "Idempotency-Key, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
_PUBLIC_PREFLIGHT = _PREFLIGHT | {"Access-Control-Allow-Methods": "GET, HEAD"}


def guard(settings: Settings) -> Middleware:
    """Build the middleware. It answers refusals itself and adds the security and CORS headers to every answer."""
    return _Guard(settings).middleware()


class _Guard:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exposed = is_exposed(settings)
        own_names = {settings.host.lower().rstrip("."), *settings.allowed_hosts}
        own_origins = {_STRUDEL, *settings.allowed_origins}
        if settings.public_url:
            public = urlsplit(settings.public_url.lower())
            own_names.add(public.hostname or "")
            own_origins.add(f"{public.scheme}://{public.netloc}")
        self._names = frozenset(own_names - {""}) | _LOOPBACK_NAMES
        self._origins = frozenset(own_origins)
        # A server sees the same few Hosts and Origins again and again: each is judged once.
        self._hosts: dict[str, bool] = {}
        self._foreign: dict[tuple[str, str], bool] = {}
        self._warned: set[str] = set()

    def middleware(self) -> Middleware:
        @web.middleware
        async def guard_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = request.headers
            origin = headers.get(hdrs.ORIGIN)
            public = request.path.startswith(PUBLIC) and request.method in _READS
            allowed_origin: str | None = None
            try:
                self._check_host(request)
                if origin is not None and not public:
                    self._check_origin(request, origin)
                    allowed_origin = origin
                if request.method in _FETCHES and self._is_stranger(request, origin, public=public):
                    check_stranger(request)
                if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in headers:
                    response: web.StreamResponse = web.Response(
                        status=204, headers=_PUBLIC_PREFLIGHT if public else _PREFLIGHT
                    )
                else:
                    if not public:
                        self._check_work(request, origin)
                    with asked_by(self._asker(request)):
                        response = await handler(request)
            except BridgeError as error:
                response = error_response(error)
            except web.HTTPException as answer:
                _add_headers(request, answer, allowed_origin, public=public)
                raise
            if not response.prepared:
                _add_headers(request, response, allowed_origin, public=public)
            return response

        return guard_requests

    def _is_stranger(self, request: web.Request, origin: str | None, *, public: bool) -> bool:
        """Another site asks, without an Origin that we know; what is public may be asked for with any."""
        headers = request.headers
        if origin is None:
            return _is_foreign_fetch(headers.get("Sec-Fetch-Site"), headers[hdrs.HOST])
        return public and not self._knows(origin, headers[hdrs.HOST])

    def _asker(self, request: web.Request) -> str | None:
        return key_name(self._settings, _shown_key(request)) if self._settings.api_keys is not None else None

    def _check_host(self, request: web.Request) -> None:
        hosts = request.headers.getall(hdrs.HOST, ())
        # request.host is the target's when that is a whole URL, otherwise the header's
        if len(hosts) == 1 and self._is_ours(hosts[0]) and (request.host == hosts[0] or self._is_ours(request.host)):
            return
        named = f"{hosts[0][:80]!r}" if len(hosts) == 1 else "a request that does not name exactly one host"
        raise Misdirected(
            f"This server does not answer for {named}. Use http://127.0.0.1 or http://localhost with its port, or add "
            f"the name to BRIDGE_ALLOWED_HOSTS."
        )

    def _is_ours(self, host: str) -> bool:
        verdict = self._hosts.get(host)
        if verdict is None:
            name = _host_name(host)
            verdict = name is not None and (
                name in self._names or name.endswith(".localhost") or "." not in name or _is_ip(name)
            )
            _remember(self._hosts, host, verdict)
        return verdict

    def _check_origin(self, request: web.Request, origin: str) -> None:
        if self._knows(origin, request.headers[hdrs.HOST]) and len(request.headers.getall(hdrs.ORIGIN)) == 1:
            return
        if origin not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(origin)
            logger.warning("refused a page from %r; if it is yours, add it to BRIDGE_ALLOWED_ORIGINS", origin[:80])
        raise Forbidden(
            "Pages from this origin may not use the bridge. If the page is yours, add its origin to "
            "BRIDGE_ALLOWED_ORIGINS.",
            code="foreign_origin",
        )

    def _knows(self, origin: str, host: str) -> bool:
        verdict = self._foreign.get((origin, host))
        if verdict is None:
            verdict = not self._is_allowed(origin.lower(), host.lower())
            _remember(self._foreign, (origin, host), verdict)
        return not verdict

    def _is_allowed(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        scheme, _, authority = origin.partition("://")
        if scheme not in {"http", "https"}:
            return False
        if authority == host:  # our own page; https when a proxy in front speaks TLS
            return True
        name, port = _split_port(authority)
        return name in _LOOPBACK_ORIGIN_HOSTS and (port is None or (port.isascii() and port.isdigit()))

    def _check_work(self, request: web.Request, origin: str | None) -> None:
        """Refuse what is more than a plain read, unless the caller may do it and did it knowingly."""
        headers, path = request.headers, request.path
        if request.method in _READS:
            if not path.startswith(STARTS_WORK) and headers.get(hdrs.UPGRADE, "").lower() != "websocket":
                return
        elif request.method in _WITH_BODY:
            _check_body(request)
        if origin is None and _is_foreign_fetch(headers.get("Sec-Fetch-Site"), headers[hdrs.HOST]):
            raise refusal()
        if path.startswith(KEY_IN_HELLO) or (path == "/ws" and request.method == hdrs.METH_GET):
            return  # the first asks for the key itself, the second only tells what goes on
        if not self._settings.all_keys:
            if self._exposed:
                raise Forbidden(
                    "This server can be reached over the network and has no key, so it only reads. Set BRIDGE_API_KEY "
                    "where it runs and send it as X-API-Key.",
                    code="read_only",
                )
        elif not check_key(self._settings, _shown_key(request)):
            raise Forbidden(
                "This call needs the server's key: send it as X-API-Key, or as Authorization: Bearer.",
                code="key_required",
            )


def _add_headers(request: web.Request, response: web.StreamResponse, origin: str | None, *, public: bool) -> None:
    headers = response.headers
    if _CSP not in headers:
        headers[_CSP] = _CLOSED
    headers.update(embedding_headers(request, response.content_type))
    if public:
        headers.update(_PUBLIC_HEADERS)
        return
    headers.update(_EVERYWHERE)
    varies = headers.get(hdrs.VARY)
    headers[hdrs.VARY] = f"{varies}, Origin" if varies else "Origin"
    if origin is not None:
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "*"


def _check_body(request: web.Request) -> None:
    """Forms and plain text can be sent by any page without asking first; JSON cannot."""
    if hdrs.CONTENT_TYPE not in request.headers:
        if not request.body_exists:
            return  # an empty body means {}
    elif request.content_type in _BODY_TYPES:
        return
    raise UnsupportedMedia("Send the body as JSON, with the header Content-Type: application/json.")


def _is_foreign_fetch(site: str | None, host: str) -> bool:
    """Judge a request without an Origin by what the browser says of who asked; other programs send no such header."""
    if site is None:
        return False
    if site == "same-site":  # another port or a sibling name: trusted on loopback, as such origins are
        name = _host_name(host)
        return name is None or not is_loopback(name)
    return site not in {"same-origin", "none"}


def _shown_key(request: web.Request) -> str | None:
    key = request.headers.get("X-API-Key")
    if key is not None:
        return key
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return key_of_protocols(headers) if (headers := request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)) else None


def _host_name(host: str) -> str | None:
    """Take the name out of a Host header, lower case, without port, brackets and final dot; None: it is no host."""
    name, port = _split_port(host.lower())
    if port and not (port.isascii() and port.isdigit()):
        return None
    if name.startswith("["):
        literal = name[1:-1]
        return literal if ":" in literal and _is_ip(literal) else None
    name = name.removesuffix(".")
    return name if name and _HOST_CHARACTERS.issuperset(name) else None


def _split_port(authority: str) -> tuple[str, str | None]:
    """Split ``name:port`` and ``[::1]:port``; without a colon the port is None."""
    head, bracket, tail = authority.rpartition("]")
    name, colon, port = tail.partition(":")
    return head + bracket + name, port if colon else None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _remember(verdicts: dict[_K, bool], key: _K, verdict: bool) -> None:
    if len(verdicts) >= _MOST_VERDICTS:  # somebody sends a new one every time
        verdicts.clear()
    verdicts[key] = verdict

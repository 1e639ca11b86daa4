"""The guard: the first middleware, in front of every route, of Socket.IO and of every WebSocket.

A server on loopback is reached by every page that a browser has open. What keeps them apart (decision 14):

=================  ====================================================================================  ======
what is looked at  what passes                                                                           else
=================  ====================================================================================  ======
Host               loopback names, IP addresses, the bound, the machine's and the listed names           421
Origin             none, our own, loopback pages, https://strudel.cc, the listed ones; ``null`` never    403
body               ``application/json``, ``multipart/form-data``, or none; audio where files are taken      415
no Origin          of what another site asks for (Sec-Fetch-Site), only what lies ready: ``strangers``      403
scope              what the caller may do (``bridge/rights``) covers what the route needs (``table.py``) 403
=================  ====================================================================================  ======

A key is shown as ``X-API-Key``, as ``Authorization: Bearer``, or by a WebSocket as subprotocol, see
``key_of_protocols``; our own page shows its session's cookie. Socket.IO's key may also come later, in ``hello``.
``/samples/*`` are public: any page may read them, even one without an origin.
"""

from __future__ import annotations

import logging
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from bridge.api.errors import error_response
from bridge.api.rawaudio import RAW_AUDIO_PATHS, is_raw_audio
from bridge.api.security.hosts import Hosts, host_name, split_port
from bridge.api.security.strangers import check_stranger, embedding_headers, refusal
from bridge.errors import BridgeError, Forbidden, Misdirected, UnsupportedMedia
from bridge.rights import CALLER, Caller, Callers, Scope, calling, require
from bridge.rights.callers import session_in
from bridge.rights.keys import check_key, exposure_notice, is_exposed, is_loopback, key_of_protocols
from bridge.rights.table import Right, right_for, right_of
from bridge.settings import Settings

__all__ = ["check_key", "exposure_notice", "guard", "is_exposed"]

_K = TypeVar("_K")
_V = TypeVar("_V")
_Standing: TypeAlias = Literal["own", "foreign", "refused"]

logger = logging.getLogger(__name__)

PUBLIC = "/samples/"
"""Below this everything may be read from everywhere."""
_LOOPBACK_ORIGIN_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_STRUDEL = "https://strudel.cc"
_FETCHES = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_READS = _FETCHES | {hdrs.METH_OPTIONS}
_WITH_BODY = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH})
_BODY_TYPES = frozenset({"application/json", "multipart/form-data"})
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
_CHANGES = (hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE)
_PUBLIC_PREFLIGHT = _PREFLIGHT | {"Access-Control-Allow-Methods": "GET, HEAD"}


def guard(settings: Settings, callers: Callers | None = None, hosts: Hosts | None = None) -> Middleware:
    """Build the middleware. It answers refusals itself and adds the security and CORS headers to every answer."""
    return _Guard(settings, callers or Callers(settings), hosts or Hosts(settings)).middleware()


class _Guard:
    def __init__(self, settings: Settings, callers: Callers, hosts: Hosts) -> None:
        self._callers = callers
        self._known_hosts = hosts
        self._public_origin = ""
        if settings.public_url:
            public = urlsplit(settings.public_url.lower())
            self._public_origin = f"{public.scheme}://{public.netloc}"
        self._origins = frozenset({_STRUDEL, *settings.allowed_origins})
        # A server sees the same few Hosts and Origins again and again: each is judged once.
        self._hosts: dict[str, bool] = {}
        self._standings: dict[tuple[str, str], _Standing] = {}
        self._warned: set[str] = set()

    def middleware(self) -> Middleware:
        @web.middleware
        async def guard_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = request.headers
            origin = headers.get(hdrs.ORIGIN)
            public = request.path.startswith(PUBLIC) and request.method in _READS
            allowed_origin: str | None = None
            own = False
            try:
                self._check_host(request)
                if origin is not None and not public:
                    own = self._check_origin(request, origin)
                    allowed_origin = origin
                if "Service-Worker" in headers:  # it would stand between our page and us
                    raise Forbidden("No service worker is installed from here.", code="no_service_worker")
                if request.method in _FETCHES and self._is_stranger(request, origin, public=public):
                    check_stranger(request)
                if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in headers:
                    response: web.StreamResponse = web.Response(
                        status=204, headers=_PUBLIC_PREFLIGHT if public else await _preflight(request, own=own)
                    )
                elif public:
                    response = await handler(request)
                else:
                    right = right_for(request)
                    _check_work(request, origin, right)
                    caller = await self._caller(request, origin, own=own)
                    require(caller, right.scope)
                    request[CALLER] = caller
                    with calling(caller):
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
        return public and self._standing(origin, headers[hdrs.HOST]) == "refused"

    async def _caller(self, request: web.Request, origin: str | None, *, own: bool) -> Caller:
        key = shown_key(request)
        if self._callers.is_wrong(key):
            await self._callers.guesses.wrong(request.remote, "http")
        site = request.headers.get("Sec-Fetch-Site")
        return self._callers.of(
            key=key,
            session_id=session_in(request.cookies, local_port(request)) if hdrs.COOKIE in request.headers else None,
            origin=origin,
            own_origin=own,
            own_read=site == "same-origin",
            foreign_read=origin is None and site in ("cross-site", "same-site"),
        )

    def _check_host(self, request: web.Request) -> None:
        hosts = request.headers.getall(hdrs.HOST, ())
        # request.host is the target's when that is a whole URL, otherwise the header's
        if len(hosts) == 1 and self._is_ours(hosts[0]) and (request.host == hosts[0] or self._is_ours(request.host)):
            return
        named = f"{hosts[0][:80]!r}" if len(hosts) == 1 else "a request that does not name exactly one host"
        raise Misdirected(
            f"This server does not answer requests for {named}. Use http://127.0.0.1 or http://localhost with its "
            f"port, or add the name to BRIDGE_ALLOWED_HOSTS."
        )

    def _is_ours(self, host: str) -> bool:
        verdict = self._hosts.get(host)
        if verdict is None:
            verdict = self._known_hosts.is_ours(host)
            _remember(self._hosts, host, verdict)
        return verdict

    def _check_origin(self, request: web.Request, origin: str) -> bool:
        """Refuse pages that may not use the bridge; True for our own page, False for others that may."""
        standing = self._standing(origin, request.headers[hdrs.HOST])
        if standing != "refused" and len(request.headers.getall(hdrs.ORIGIN)) == 1:
            return standing == "own"
        if origin not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(origin)
            logger.warning("refused a page from %r; if it is yours, add it to BRIDGE_ALLOWED_ORIGINS", origin[:80])
        raise Forbidden(
            "Pages from this origin may not use the bridge. If the page is yours, add its origin to "
            "BRIDGE_ALLOWED_ORIGINS.",
            code="foreign_origin",
        )

    def _standing(self, origin: str, host: str) -> _Standing:
        standing = self._standings.get((origin, host))
        if standing is None:
            standing = self._judge(origin.lower(), host.lower())
            _remember(self._standings, (origin, host), standing)
        return standing

    def _judge(self, origin: str, host: str) -> _Standing:
        scheme, _, authority = origin.partition("://")
        if origin == self._public_origin:
            return "own"
        # https when a proxy in front speaks TLS; browsers leave a default port away on both sides
        if scheme in {"http", "https"} and authority == host:
            return "own"
        return "foreign" if self._is_allowed(origin) else "refused"

    def _is_allowed(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        scheme, _, authority = origin.partition("://")
        if scheme not in {"http", "https"}:
            return False
        name, port = split_port(authority)
        return name in _LOOPBACK_ORIGIN_HOSTS and (port is None or (port.isascii() and port.isdigit()))


def _check_work(request: web.Request, origin: str | None, right: Right) -> None:
    """Refuse what is more than a plain read unless it was asked for knowingly."""
    headers = request.headers
    if request.method in _READS:
        if right.scope is Scope.READ and headers.get(hdrs.UPGRADE, "").lower() != "websocket":
            return
    elif request.method in _WITH_BODY:
        _check_body(request)
    if origin is None and _is_foreign_fetch(headers.get("Sec-Fetch-Site"), headers[hdrs.HOST]):
        raise refusal()


async def _preflight(request: web.Request, *, own: bool) -> dict[str, str]:
    """What our own page may do anywhere; foreign pages change nothing but their own jobs."""
    if own:
        return _PREFLIGHT
    methods = [hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_POST]
    for method in _CHANGES:
        match = await request.app.router.resolve(request.clone(method=method))
        resource = match.route.resource
        if match.http_exception is None and resource is not None:
            needed = right_of(method, resource.canonical).scope
            methods += [method] if needed in (Scope.READ, Scope.MAKE) else []
    return _PREFLIGHT | {"Access-Control-Allow-Methods": ", ".join(methods)}


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
    elif request.content_type in _BODY_TYPES or (is_raw_audio(request) and request.path in RAW_AUDIO_PATHS):
        return
    raise UnsupportedMedia("Send the body as JSON, with the header Content-Type: application/json.")


def _is_foreign_fetch(site: str | None, host: str) -> bool:
    """Judge a request without an Origin by what the browser says of who asked; other programs send no such header."""
    if site is None:
        return False
    if site == "same-site":  # another port or a sibling name: trusted on loopback, as such origins are
        name = host_name(host)
        return name is None or not is_loopback(name)
    return site not in {"same-origin", "none"}


def shown_key(request: web.Request) -> str | None:
    """The key that a request shows; None: it shows none."""
    key = request.headers.get("X-API-Key")
    if key is not None:
        return key
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return key_of_protocols(headers) if (headers := request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)) else None


def local_port(request: web.Request) -> int:
    """The port that a request came in by; the session's cookie is named after it."""
    name = request.get_extra_info("sockname")
    return int(name[1]) if isinstance(name, tuple) else 0


def _remember(verdicts: dict[_K, _V], key: _K, verdict: _V) -> None:
    if len(verdicts) >= _MOST_VERDICTS:  # somebody sends a new one every time
        verdicts.clear()
    verdicts[key] = verdict

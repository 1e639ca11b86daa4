"""What another site may read without asking first, and what its pages may embed.

A page of any site can send GETs here without an Origin: an image, a script, a frame, a link. Browsers that know no
local network access rules send them. Whoever asks so gets what lies ready, and starts nothing: neither encoding, nor a
search, nor a map of the whole library. A route that is not in a table below is closed to strangers.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from bridge.errors import Forbidden

_READY = frozenset({"/samples/{file}", "/stems/{request}/{file}"})
"""Files under names that nobody can guess. The first is encoded on demand, so its handler asks ``is_stranger``."""
_PAGES = frozenset({"/", "/docs", "/redoc", "/asyncapi", "/notices", "/licence", "/source"})
"""What a link may lead to: read from the disk, and shown in a tab of its own."""
_EMBEDDED_ANYWHERE = _READY | {"/strudel.json", "/gen/{words}", "/sample-bridge.js"}
"""What pages of other sites are meant to use. The rest is for pages of this site, whatever their port."""

_STRANGER = web.RequestKey("stranger", bool)
_CORP = "Cross-Origin-Resource-Policy"
_COOP = "Cross-Origin-Opener-Policy"


def refusal() -> Forbidden:
    """Build the one refusal. It is the same whether the thing exists or not."""
    return Forbidden(
        "Another site may not start work here. Open the address yourself, or call it from an allowed page.",
        code="cross_site",
    )


def check_stranger(request: web.Request) -> None:
    """Let a GET or HEAD of a stranger through, or refuse it before anything is looked up. Raises Forbidden."""
    request[_STRANGER] = True
    route = _route(request)
    if route in _READY:
        return
    if route in _PAGES and request.headers.get("Sec-Fetch-Dest") == "document" and _wants_page(request, route):
        return
    raise refusal()


def is_stranger(request: web.Request) -> bool:
    """Tell whether another site asked without being allowed: it gets only what lies ready."""
    return bool(request.get(_STRANGER, False))


def embedding_headers(request: web.Request, content_type: str) -> dict[str, str]:
    """Headers that say which pages may embed the answer, and that a page of ours shares no window with its opener."""
    route = _route(request)
    html = content_type == "text/html"
    anywhere = route in _EMBEDDED_ANYWHERE or (route == "/" and not html)
    headers = {_CORP: "cross-origin" if anywhere else "same-site"}
    return headers | {_COOP: "same-origin"} if html else headers


def _wants_page(request: web.Request, route: str) -> bool:
    # At "/" whoever does not ask for HTML gets the map of the whole library.
    return route != "/" or "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""

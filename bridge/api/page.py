"""The page: its files, and what its licence owes its readers, offline."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import hdrs, web

from bridge.api.strudel import get_strudel_map
from bridge.errors import NotFound

_ASSET = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}", re.ASCII)
"""What names of built files look like; others are not asked of the disk, which has names that it refuses."""
STATIC = Path(__file__).parent.parent / "static"

# Strudel evaluates code (unsafe-eval); its worklets, and those that patterns compile, are data: URLs. A pattern may
# connect to this server alone: 'self' covers WebSockets of the same host and port.
CSP = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' data:; connect-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob: data:; "
    "font-src 'self' data:; worker-src 'self' blob: data:; frame-src 'self'; manifest-src 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-DNS-Prefetch-Control": "off",
    hdrs.CACHE_CONTROL: "no-cache",
    hdrs.VARY: "Accept",
}
_NOT_BUILT = (
    "<!doctype html><title>Sample Bridge</title><p>The server runs, but its page has not been built. "
    "Stop it and start it with <code>make run</code>."
)


async def get_root(request: web.Request) -> web.StreamResponse:
    """The page for browsers that ask for HTML; the sample map for everybody else (``samples('local:')``)."""
    if "text/html" not in request.headers.get(hdrs.ACCEPT, "").lower():
        response = await get_strudel_map(request)
        response.headers[hdrs.VARY] = "Accept"
        return response
    index = STATIC / "index.html"
    if not index.exists():
        return web.Response(text=_NOT_BUILT, content_type="text/html", headers=_PAGE_HEADERS)
    return web.FileResponse(index, headers={hdrs.CONTENT_TYPE: "text/html; charset=utf-8", **_PAGE_HEADERS})


async def get_asset(request: web.Request) -> web.StreamResponse:
    """A file of the built page; names carry a digest, so they never change."""
    name = request.match_info["name"]
    path = STATIC / "assets" / name
    if not _ASSET.fullmatch(name) or not path.is_file():
        raise NotFound("The page has no such file; reload it.", code="unknown_asset")
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable"})


async def get_client_module(_: web.Request) -> web.StreamResponse:
    """Contract A's functions as a module that other pages import."""
    path = STATIC / "sample-bridge.js"
    if not path.is_file():
        raise NotFound("The page has not been built; `make build` builds it.", code="not_built")
    return web.FileResponse(
        path, headers={hdrs.CONTENT_TYPE: "text/javascript; charset=utf-8", hdrs.CACHE_CONTROL: "no-cache"}
    )


async def get_notices(_: web.Request) -> web.StreamResponse:
    """Licences of everything that is in the page."""
    return _text("notices.txt")


async def get_licence(_: web.Request) -> web.StreamResponse:
    """The GNU Affero General Public License."""
    return _text("LICENSE.txt")


async def get_source(_: web.Request) -> web.StreamResponse:
    """The complete source of this very version (section 13 of the licence), without the internet."""
    path = STATIC / "source.tar.gz"
    if not path.is_file():
        raise NotFound(
            "This installation was made without its source archive; `make build` makes it.", code="no_source"
        )
    return web.FileResponse(
        path,
        headers={
            hdrs.CONTENT_TYPE: "application/gzip",
            hdrs.CONTENT_DISPOSITION: 'attachment; filename="sample-bridge-source.tar.gz"',
            hdrs.CACHE_CONTROL: "no-cache",
        },
    )


def _text(name: str) -> web.StreamResponse:
    path = STATIC / name
    if not path.is_file():
        raise NotFound(f"This installation was made without {name}; `make build` makes it.", code="not_built")
    headers = {hdrs.CONTENT_TYPE: "text/plain; charset=utf-8", hdrs.CACHE_CONTROL: "no-cache"}
    return web.FileResponse(path, headers=headers)

"""Pages that show the API: Swagger UI, Redoc, and our own for the sockets. Nothing comes from another host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from bridge.api.body import json_response
from bridge.api.description.asyncapi import describe_sockets
from bridge.errors import NotFound

VIEWERS = Path(__file__).parents[2] / "static" / "viewers"
_OWN = Path(__file__).parent / "viewers"
_TYPES: Mapping[str, str] = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

# Redoc searches in a worker made of a blob; both write styles of their own. Anything from elsewhere is refused.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self' data:; worker-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_PAGE_HEADERS = {"Content-Security-Policy": _CSP, hdrs.CACHE_CONTROL: "no-cache"}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:1rem;overflow:auto;font-size:13px}code{font-size:.9em}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h3{margin-bottom:.2rem}"
)


async def get_docs(_: web.Request) -> web.StreamResponse:
    """Swagger UI: the API to read and to try."""
    return _page(
        "API", '<link rel="stylesheet" href="/viewers/swagger-ui.css">',
        '<div id="docs"></div><script src="/viewers/swagger-ui-bundle.js"></script>'
        '<script src="/viewers/show-swagger.js"></script>',
    )  # fmt: skip


async def get_redoc(_: web.Request) -> web.StreamResponse:
    """Redoc: the API to read."""
    return _page(
        "API", "",
        '<div id="docs"></div><script src="/viewers/redoc.standalone.js"></script>'
        '<script src="/viewers/show-redoc.js"></script>',
    )  # fmt: skip


async def get_asyncapi(_: web.Request) -> web.StreamResponse:
    """The sockets' description."""
    return json_response(describe_sockets())


async def get_asyncapi_page(_: web.Request) -> web.StreamResponse:
    """The sockets' description, to read."""
    return _page("Sockets", f"<style>{_STYLE}</style>", _sockets(describe_sockets()))


async def get_viewer(request: web.Request) -> web.StreamResponse:
    """A file that one of the pages needs."""
    name = request.match_info["name"]
    for folder in (_OWN, VIEWERS):
        # Compared with what is there, so that no name leads anywhere else.
        if folder.is_dir() and name in {each.name for each in folder.iterdir() if each.suffix in _TYPES}:
            kind = _TYPES[Path(name).suffix]
            return web.FileResponse(folder / name, headers={hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: "no-cache"})
    raise NotFound("That part of the page has not been built; `make build` builds it.", code="not_built")


def _page(title: str, head: str, body: str) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sample Bridge: {title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"{head}</head><body>{body}</body></html>"
    )
    return web.Response(text=text, content_type="text/html", headers=_PAGE_HEADERS)


def _sockets(document: Mapping[str, Any]) -> str:
    parts = [f"<h1>{escape(document['info']['title'])}</h1>", f"<p>{escape(document['info']['description'])}</p>"]
    for name, channel in document["channels"].items():
        parts.append(f"<h2>{escape(name)}: <code>{escape(channel['address'])}</code></h2>")
        parts.append(f"<p>{escape(channel['description'])}</p>")
        for operation in document["operations"].values():
            if operation["channel"]["$ref"] == f"#/channels/{name}":
                who = "The bridge says" if operation["action"] == "send" else "A client says"
                names = [each["$ref"].rpartition("/")[2] for each in operation["messages"]]
                parts += [_message(who, each, document) for each in names]
    parts.append('<p>As a file: <a href="/asyncapi.json">/asyncapi.json</a>. HTTP: <a href="/docs">/docs</a>.</p>')
    return "".join(parts)


def _message(who: str, name: str, document: Mapping[str, Any]) -> str:
    message = document["components"]["messages"][name]
    schema = escape(json.dumps(message["payload"], indent=1, ensure_ascii=False))
    about = escape(message.get("summary", ""))
    head = f"<h3>{who} <code>{escape(message['name'])}</code></h3><p>{about}</p>"
    return f"{head}<details><summary>Schema</summary><pre>{schema}</pre></details>"

"""The document in which a person confirms: one file, an origin of its own, nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path

from aiohttp import hdrs, web

from bridge.api.security.confirm.pending import UNTIL_DONE_SECONDS, Question

_FOLDER = Path(__file__).parent
_SCRIPT = (_FOLDER / "dialog.js").read_text(encoding="utf-8")
_STYLE = (_FOLDER / "dialog.css").read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_HEADERS = {
    # sandbox: the page around it, whose origin would be the same, has no way in.
    "Content-Security-Policy": f"sandbox allow-scripts; default-src 'none'; script-src {_digest(_SCRIPT)}; "
    f"style-src {_digest(_STYLE)}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    hdrs.CACHE_CONTROL: "no-store",
}


def confirm_document(question: Question, secret: str) -> web.Response:
    """Answer the document that asks ``question`` and gives ``secret`` away when somebody says yes."""
    given = json.dumps({"secret": secret, "seconds": UNTIL_DONE_SECONDS - 5}).replace("<", "\\u003c")
    yes = f"{question.yes} {question.what}".strip()
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(question.title)}</title><style>{_STYLE}</style></head>
<body><main id="dialog" aria-labelledby="title" aria-describedby="text">
<h1 id="title">{escape(question.title)}</h1>
<p id="text">{escape(question.text)}</p>
<p id="code" hidden><label>Type <b id="digits"></b> to go on:
<input id="typed" inputmode="numeric" autocomplete="off" maxlength="4" size="5"></label></p>
<p id="said" role="status"></p>
<div class="buttons"><button id="no" type="button">{escape(question.no)}</button></div>
<div id="place"><button id="yes" type="button" title="{escape(yes)}">{escape(yes)}</button></div></main>
<script type="application/json" id="given">{given}</script>
<script>{_SCRIPT}</script></body></html>"""
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)

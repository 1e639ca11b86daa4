"""The middleware that lets such calls wait for a person, and the route of the document."""

from __future__ import annotations

import hashlib
import json

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from bridge.api.security.confirm.document import confirm_document
from bridge.api.security.confirm.pending import UNTIL_SHOWN_SECONDS, Confirmations
from bridge.api.security.confirm.questions import CONFIRMED
from bridge.errors import ConfirmationRequired, Forbidden

CONFIRMATIONS = web.AppKey("confirmations", Confirmations)
HEADER = "X-Confirmation"
_SITE = "Sec-Fetch-Site"


def confirming(confirmations: Confirmations) -> Middleware:
    """Build the middleware. Programs are not asked: they send neither an Origin nor what browsers say of a request.

    Whether a page may ask at all is the guard's business, which comes before.
    """

    @web.middleware
    async def confirm(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        asking = CONFIRMED.get((request.method, resource.canonical)) if resource is not None else None
        if asking is None or (hdrs.ORIGIN not in request.headers and _SITE not in request.headers):
            return await handler(request)
        question = await asking(request)
        if question is None:
            return await handler(request)
        call = await _digest(request)
        secret = request.headers.get(HEADER)
        if secret is not None and confirmations.take(secret, call):
            return await handler(request)
        if request.headers.get(_SITE) != "same-origin":
            raise ConfirmationRequired(
                "A person has to confirm this in the bridge's own page, opened as http://localhost or over https. "
                "The command line and curl need no confirmation.",
                confirm=None,
            )
        raise ConfirmationRequired(
            f"{question.title} A person has to confirm this in the frame that shows the address in error.confirm.",
            confirm=f"/confirm/{confirmations.ask(call, question)}",
            seconds=UNTIL_SHOWN_SECONDS,
        )

    return confirm


async def get_confirmation(request: web.Request) -> web.StreamResponse:
    """The document in which a person confirms a call; for a frame of our own page alone, and once.

    No script can make a browser say that it loads a frame when it does not, so none gets the secret in the document.
    """
    headers = request.headers
    if (
        headers.get("Sec-Fetch-Dest") != "iframe"
        or headers.get("Sec-Fetch-Mode") != "navigate"
        or headers.get(_SITE) != "same-origin"
    ):
        raise Forbidden("This is shown in a frame of the bridge's own page, and nowhere else.", code="not_framed")
    return confirm_document(*request.app[CONFIRMATIONS].show(request.match_info["id"]))


async def _digest(request: web.Request) -> str:
    """Everything that makes a call this one: what is done to what, and who asks."""
    headers = request.headers
    session = {name: value for name, value in request.cookies.items() if name.startswith("sample_bridge_")}
    who = [headers.get("X-API-Key"), headers.get(hdrs.AUTHORIZATION), headers.get(hdrs.ORIGIN), session]
    body = hashlib.sha256(await request.read()).hexdigest()
    return hashlib.sha256(json.dumps([request.method, request.raw_path, body, who]).encode()).hexdigest()

"""``POST /forget``: wipe the words that sounds were made of."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.api.body import json_response, read_json
from bridge.api.keys import SERVICE
from bridge.errors import InvalidRequest
from bridge.forgetting import forget


class ForgetBody(BaseModel):
    """Whose words."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """One sound's."""
    what: Literal["prompts", "all"] | None = None
    """Those of all sounds; ``all``: and their names."""

    @model_validator(mode="after")
    def _one_of_them(self) -> ForgetBody:
        if (self.name is None) == (self.what is None):
            raise ValueError('say whose words: {"name": "gen_kick"}, {"what": "prompts"} or {"what": "all"}')
        return self


async def post_forget(request: web.Request) -> web.StreamResponse:
    """Wipe; the answer says which sounds are concerned."""
    document = await read_json(request)
    if not isinstance(document, dict):
        raise InvalidRequest('The body must be a JSON object, such as {"name": "gen_kick"}.')
    body = ForgetBody.model_validate(document)
    done = await forget(request.app[SERVICE], body.name, names_too=body.what == "all")
    return json_response({"forgotten": True, "sounds": list(done.names), "samples": done.samples})

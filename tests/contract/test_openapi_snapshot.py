"""A change of what the API promises shows: the descriptions in docs/ are held against the code.

When a change is meant, run this file with ``UPDATE_SNAPSHOTS=1`` and look at the difference.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.api.description.asyncapi import describe_sockets
from bridge.api.description.openapi import build
from bridge.api.description.operations import OPERATIONS, PARTS_OF_PAGES, SOCKETS
from bridge.api.routes import ROUTES

DOCS = Path(__file__).parents[2] / "docs"
HOW = "The API's description has changed. If that is meant, run this test with UPDATE_SNAPSHOTS=1 and commit docs/."


def written(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


OPENAPI = build(ROUTES, OPERATIONS)
SNAPSHOTS = {
    "openapi.json": written(json.dumps(OPENAPI, indent=1, ensure_ascii=False)),
    "asyncapi.yaml": written(yaml.safe_dump(json.loads(json.dumps(describe_sockets())), sort_keys=False, width=120)),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_description_is_the_one_that_was_agreed_on(name: str) -> None:
    path = DOCS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(SNAPSHOTS[name], encoding="utf-8")
    assert path.read_text(encoding="utf-8") == SNAPSHOTS[name], HOW


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_described(route: Any) -> None:
    if route.path in PARTS_OF_PAGES | SOCKETS:
        return
    assert (route.method, route.path) in OPERATIONS, "Describe it in bridge/api/description/operations.py."
    assert (route.handler.__doc__ or "").strip(), "Its handler's description is the call's summary."
    named = set(re.findall(r"{(\w+)}", route.path))
    parameters = OPERATIONS[route.method, route.path].parameters
    assert {each.name for each in parameters if each.where == "path"} == named


def test_nothing_is_described_that_is_not_there() -> None:
    assert set(OPERATIONS) <= {(route.method, route.path) for route in ROUTES}


def test_every_reference_leads_somewhere_and_every_call_has_a_name_of_its_own() -> None:
    text = json.dumps(OPENAPI)
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(OPENAPI["components"]["schemas"])
    names = [call["operationId"] for path in OPENAPI["paths"].values() for call in path.values()]
    assert len(names) == len(set(names))
    sockets = describe_sockets()
    assert {f"#/components/messages/{name}" for name in sockets["components"]["messages"]} == set(
        re.findall(r'"(#/components/messages/[^"]+)"', json.dumps(sockets))
    )


def test_the_limits_are_those_of_the_models_that_validate() -> None:
    fields = OPENAPI["components"]["schemas"]["GenerateBody"]["properties"]
    assert fields["duration"]["anyOf"][0] == {"type": "number", "minimum": 0.1, "maximum": 120}
    assert fields["top_k"]["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 500}
    assert OPENAPI["components"]["schemas"]["GenerateBody"]["required"] == ["prompt"]


def test_a_server_describes_its_own_limits_and_engines() -> None:
    document = build(ROUTES, OPERATIONS, max_seconds=30, engines=("tone",))
    fields = document["components"]["schemas"]["GenerateBody"]["properties"]
    assert fields["duration"]["anyOf"][0]["maximum"] == 30
    assert fields["engine"]["anyOf"][0]["enum"] == ["auto", "tone"]


def test_each_refusal_carries_the_one_shape_and_a_503_says_when_to_come_back() -> None:
    for path in OPENAPI["paths"].values():
        for call in path.values():
            for status, answer in call["responses"].items():
                if int(status) >= 400:
                    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
                if status == "503":
                    assert answer["headers"]["Retry-After"]["required"]

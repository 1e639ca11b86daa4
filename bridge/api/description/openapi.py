"""The API's description (OpenAPI 3.1): the routes, their table in ``operations``, and the models that validate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from bridge import __version__
from bridge.api.description.operation import Body, Operation, Parameter, Response, Schema
from bridge.api.description.shapes import Error
from bridge.api.errors import STATUS
from bridge.api.rawaudio import RAW_AUDIO_PATHS, RAW_AUDIO_TYPES
from prompts import MAX_SECONDS, SampleSpec

JSON = "application/json"
_ABOUT_FIELD = ("description", "default", "examples")
_REF = "#/components/schemas/{model}"

_ABOUT = """Sounds that do not exist yet, playable in your running Strudel session.

`null` means absent, unknown fields are ignored, an empty body means `{}`. Every error, on every path, is
`{"success": false, "error": {"code", "message"}, "detail"}` and says what to do. A request may bring an `X-Request-Id`;
its answer has it, and so has every line of the log that belongs to it. The sockets are described at
[/asyncapi](/asyncapi)."""


def build(
    routes: Iterable[web.RouteDef],
    operations: Mapping[tuple[str, str], Operation],
    *,
    max_seconds: float = MAX_SECONDS,
    engines: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe ``routes``; ``max_seconds`` and ``engines`` are this server's. A route without an entry is left out."""
    components = _Components()
    paths: dict[str, dict[str, Any]] = {}
    tags: dict[str, None] = {}
    for route in routes:
        operation = operations.get((route.method, route.path))
        if operation is not None:
            tags[operation.tag] = None
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, operation, components)
    components.fit(max_seconds, engines)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sample Bridge",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in tags],
        # Without a set key none is needed on one's own machine.
        "security": [{}, {"key": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": dict(sorted(components.schemas.items())),
        },
    }


class _Components:
    """The schemas that a document's parts refer to, collected while it is built."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def of(self, shape: Any) -> dict[str, Any]:
        """The schema of an answer's type."""
        schema = TypeAdapter(shape).json_schema(ref_template=_REF, mode="serialization")
        self._keep(schema.pop("$defs", {}))
        name = schema.get("title")
        if name and "properties" in schema:
            self._keep({name: schema})
            return {"$ref": _REF.format(model=name)}
        return dict(_tidy(schema))

    def of_body(self, body: Body) -> dict[str, Any]:
        """The schema of a body. What is not required may be null."""
        own = body.model.model_json_schema(ref_template=_REF)
        properties, required = dict(own["properties"]), set(own.get("required", ()))
        definitions = dict(own.get("$defs", {}))
        if body.with_spec:
            spec = SampleSpec.model_json_schema(ref_template=_REF)
            required |= set(spec["required"]) - set(properties)
            properties = _merged(spec["properties"], properties)
            definitions |= spec.get("$defs", {})
        self._keep(definitions)
        schema: dict[str, Any] = {
            "type": "object",
            "description": " ".join((body.model.__doc__ or "").split()).replace("``", "`"),
            "properties": {
                name: _field(_tidy(_refined(known, body.refine.get(name))), nullable=name not in required)
                for name, known in properties.items()
            },
            **({"required": sorted(required)} if required else {}),
        }
        if own.get("additionalProperties") is False:
            schema["additionalProperties"] = False
        self.schemas[body.model.__name__] = schema
        return {"$ref": _REF.format(model=body.model.__name__)}

    def fit(self, max_seconds: float, engines: Sequence[str]) -> None:
        """Put this server's limits in place of the contract's."""
        for schema in self.schemas.values():
            properties = schema.get("properties", {})
            for name in ("duration", "duration_seconds"):
                for choice in properties.get(name, {}).get("anyOf", ()):
                    if "maximum" in choice:
                        choice["maximum"] = min(choice["maximum"], max_seconds)
            for choice in properties.get("engine", {}).get("anyOf", ()) if engines else ():
                if choice.pop("pattern", None):
                    choice["enum"] = sorted({"auto", *engines})

    def _keep(self, definitions: Mapping[str, Any]) -> None:
        self.schemas |= {name: _tidy(schema) for name, schema in definitions.items()}


def _merged(spec: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A body's own fields before the spec's; what the spec says of a field that has no description of its own stays."""
    found = {**spec, **own}
    for name in spec.keys() & own.keys():
        found[name] = {**own[name], "description": own[name].get("description", spec[name].get("description", ""))}
    return found


def _refined(known: Mapping[str, Any], better: Schema | None) -> Mapping[str, Any]:
    return known if better is None else {**{key: known[key] for key in _ABOUT_FIELD if key in known}, **better}


def _field(schema: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    about: dict[str, Any] = {key: schema.pop(key) for key in _ABOUT_FIELD if key in schema}
    if nullable:
        choices = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
        schema = {"anyOf": [*(choice for choice in choices if choice.get("type") != "null"), {"type": "null"}]}
    return {**schema, **about}


def _tidy(schema: Any) -> Any:
    """Without the titles that pydantic makes of the fields' names, and without defaults that say nothing."""
    if isinstance(schema, dict):
        return {
            key: value.replace("``", "`") if key == "description" and isinstance(value, str) else _tidy(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
        }
    return [_tidy(each) for each in schema] if isinstance(schema, list) else schema


def _operation(route: web.RouteDef, operation: Operation, components: _Components) -> dict[str, Any]:
    text = (route.handler.__doc__ or "").strip()
    summary, _, more = text.partition("\n\n")
    content: dict[str, Any] = {}
    if operation.bodies:
        schemas = [components.of_body(body) for body in operation.bodies]
        content[JSON] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    if operation.form is not None:
        content["multipart/form-data"] = {"schema": dict(operation.form)}
    if route.path in RAW_AUDIO_PATHS:
        content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in RAW_AUDIO_TYPES}
    errors = {403, 421, *operation.errors}
    if content:
        errors |= {400, 413, 415, 422}
    answers = {str(status): _answer(answer, components) for status, answer in operation.answers.items()}
    refusals = {str(status): _refusal(status, components) for status in errors}
    required = operation.form is not None or any(body.required for body in operation.bodies)
    return {
        "operationId": route.handler.__name__,
        "tags": [operation.tag],
        "summary": " ".join(summary.split()).rstrip("."),
        **({"description": " ".join(more.split())} if more else {}),
        **({"parameters": [_parameter(each) for each in operation.parameters]} if operation.parameters else {}),
        **({"requestBody": {"required": required, "content": content}} if content else {}),
        "responses": dict(sorted({**refusals, **answers}.items())),
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        **({"description": parameter.description} if parameter.description else {}),
        "schema": dict(parameter.schema),
    }


def _answer(answer: Response, components: _Components) -> dict[str, Any]:
    content: dict[str, Any] = {} if answer.shape is None else {JSON: {"schema": components.of(answer.shape)}}
    content |= {media: {"schema": {}} for media in answer.media}
    return {"description": answer.description, **({"content": content} if content else {})}


def _refusal(status: int, components: _Components) -> dict[str, Any]:
    document: dict[str, Any] = {
        "description": _REASONS.get(status, "It cannot be answered."),
        "content": {JSON: {"schema": components.of(Error)}},
    }
    if status == 503:
        seconds = {"type": "string", "pattern": "^[0-9]+$"}
        about = "Seconds after which to ask again"
        document["headers"] = {"Retry-After": {"description": about, "required": True, "schema": seconds}}
    return document


def _reasons() -> dict[int, str]:
    """What the errors of each status say of themselves."""
    found: dict[int, list[str]] = {}
    for kind, status in STATUS.items():
        found.setdefault(status, []).append((kind.__doc__ or "").split("\n")[0])
    return {status: " ".join(sentences) for status, sentences in found.items()}


_REASONS = _reasons()

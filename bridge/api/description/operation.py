"""What is said about one call, besides what its handler and its models say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import BaseModel

Schema: TypeAlias = Mapping[str, Any]
"""A piece of JSON Schema."""


@dataclass(frozen=True)
class Parameter:
    """A value in the path, the query or a header."""

    name: str
    schema: Schema
    description: str = ""
    where: str = "query"


@dataclass(frozen=True)
class Body:
    """A JSON body: the model that validates it, and what JSON Schema can say that the model's own schema does not."""

    model: type[BaseModel]
    with_spec: bool = False
    """The fields of a spec are taken besides the model's own."""
    refine: Mapping[str, Schema] = field(default_factory=dict)
    required: bool = True
    """False where an empty body asks for something."""


@dataclass(frozen=True)
class Response:
    """A successful answer: a type for JSON, and the content types of what else it may be."""

    description: str
    shape: Any = None
    media: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One call; its summary is the first sentence of its handler's description."""

    tag: str
    answers: Mapping[int, Response]
    errors: tuple[int, ...] = ()
    """Beside those that every call of its kind can have."""
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Body, ...] = ()
    """Several: any of them."""
    form: Schema | None = None
    """The schema of a multipart body."""

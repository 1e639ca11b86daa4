"""The registry of error codes holds what the sources raise, with the statuses that they get, and nothing else."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import errors
from bridge.api.errors import _HTTP_CODES, STATUS
from bridge.error_codes import ERROR_CODES
from tests.error_tables import DOCS, PAGES, with_table

ROOT = Path(__file__).parents[1]
KINDS = {
    name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, errors.BridgeError)
}
COMMANDS = ("bridge/commands", "bridge/client", "bridge/cli.py")
"""What is raised here ends a command; no answer of the server carries it."""

OTHERWISE = {"unknown_expect"}
"""Codes whose answer has a status of its own (``bridge/api/security/connection.py``)."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("bridge", "prompts", "cache"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name != "error_codes.py":
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def texts(node: ast.expr, constants: dict[str, str]) -> list[str]:
    """What an expression may be: a text, the name of one, or either of two."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name) if name in constants:
            return [constants[name]]
        case ast.IfExp(body=one, orelse=other):
            return texts(one, constants) + texts(other, constants)
        case _:
            return []


def assigned(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                yield target.id, node.value.value


def status_of(kind: type[errors.BridgeError]) -> int | None:
    """The HTTP status of an error; None for what ends a command."""
    if issubclass(kind, errors.StartupError):
        return None
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def calls(tree: ast.Module, constants: dict[str, str]) -> Iterator[tuple[str, int | None]]:
    """The codes that calls name, and the status of the error where one is built."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        named += node.args[:1] if called == "AudioRefused" else []
        for expression in named:
            for text in texts(expression, constants):
                yield text, status_of(KINDS[called]) if called in KINDS else None


def raised() -> dict[str, set[tuple[int | None, str]]]:
    """Codes -> the status that each gets where it is raised (None: not told by its class), and the file."""
    found: dict[str, set[tuple[int | None, str]]] = defaultdict(set)
    everywhere = {name: text for _, tree in sources() for name, text in assigned(tree) if name.isupper()}
    for path, tree in sources():
        for name, text in assigned(tree):
            if name == "code":
                found[text].add((None, path))
        for text, status in calls(tree, everywhere | dict(assigned(tree))):
            found[text].add((status, path))
    for kind in KINDS.values():
        if "default_code" in vars(kind):
            found[kind.default_code].add((status_of(kind), "bridge/errors.py"))
    for status, (code, _) in _HTTP_CODES.items():
        found[code].add((status, "bridge/api/errors.py"))
    return found


RAISED = raised()


def test_every_code_that_is_raised_is_in_the_registry() -> None:
    assert {code: where for code, where in RAISED.items() if code not in ERROR_CODES} == {}


def test_every_code_of_the_registry_is_raised() -> None:
    literals = {
        node.value
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert sorted(set(ERROR_CODES) - set(RAISED) - literals) == []


def test_the_statuses_are_those_of_the_errors_that_carry_the_code() -> None:
    wrong = {
        code: (sorted(missing), ERROR_CODES[code].statuses)
        for code, where in RAISED.items()
        if code in set(ERROR_CODES) - OTHERWISE
        and ERROR_CODES[code].statuses  # else a WebSocket or a task tells it
        and (
            missing := {status for status, path in where if status and not path.startswith(COMMANDS)}
            - set(ERROR_CODES[code].statuses)
        )
    }
    assert wrong == {}


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_code_has_a_sentence_and_a_place(code: str) -> None:
    statuses, meaning, command = ERROR_CODES[code]
    assert meaning.endswith(".")
    assert meaning[0].isupper() or meaning[0] == "`"
    assert not (command and statuses), "what a command ends with has no status"


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_the_documents_are_made_of_it(page: str) -> None:
    assert (DOCS / page).read_text("utf-8") == with_table(page), "write them anew: python -P -m tests.error_tables"

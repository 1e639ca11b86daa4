"""What ``sample-bridge doctor --data`` finds, and how it says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "problem"]
_SIGNS = {"ok": "+", "note": "-", "problem": "!"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one part of the data folder."""

    part: str
    """Its name in the folder; "." is the folder itself."""
    level: Level
    """note: worth knowing, nothing has to be done."""
    text: str
    next: str | None = None
    """What to type."""


def report(path: str, findings: Iterable[Finding], **more: Any) -> dict[str, Any]:
    """As plain JSON: ``problems`` are sentences, ``next`` what to type, the most useful first."""
    listed = list(findings)
    problems = [each for each in listed if each.level == "problem"]
    return {
        "path": path,
        **more,
        "findings": [{"part": each.part, "level": each.level, "text": each.text, "next": each.next} for each in listed],
        "problems": [each.text for each in problems],
        "next": list(dict.fromkeys(each.next for each in problems if each.next)),
    }


def page(document: dict[str, Any]) -> str:
    """For people: a line for each part, then what to type."""
    lines = [f"data folder: {document['path']}"]
    lines += [f"{_SIGNS[each['level']]} {each['part']}: {each['text']}" for each in document["findings"]]
    if document["next"]:
        lines += ["", "Type next:", *(f"  {step}" for step in document["next"])]
    elif not document["problems"]:
        lines += ["", "All is well."]
    return "\n".join(lines)

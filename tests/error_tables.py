"""The tables of error codes in the documents: ``python -P -m tests.error_tables`` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.error_codes import ERROR_CODES

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- error codes: made of bridge/error_codes.py -->\n", "<!-- end of error codes -->\n"
PAGES = {"http-api.md": False, "cli.md": True}
"""The page, and whether it has the codes of commands."""


def table(page: str) -> str:
    """The table of a page, in Markdown."""
    command = PAGES[page]
    lines = (
        ["| code | what it means |", "|---|---|"] if command else ["| code | status | what it means |", "|---|---|---|"]
    )
    for code, (statuses, meaning, of_command) in sorted(ERROR_CODES.items()):
        if of_command is command:
            status = "" if command else f" {', '.join(map(str, statuses))} |"
            lines.append(f"| `{code}` |{status} {meaning} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page's text with the table as it should be."""
    text = (DOCS / page).read_text("utf-8")
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: BEGIN + table(page) + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(with_table(name), "utf-8")

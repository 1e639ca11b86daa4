"""The page of results."""

from __future__ import annotations

from pathlib import Path

from tests.reliability.results import keep


def test_a_result_takes_the_place_of_the_older_one_of_its_name(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    keep("kills", "2026-01-01: 3 kills", page)
    keep("cancel", "2026-01-02: 5 cancels", page)
    keep("kills", "2026-01-03: 7 kills", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Reliability\n")
    assert text.endswith("\n## cancel\n\n2026-01-02: 5 cancels\n\n## kills\n\n2026-01-03: 7 kills\n")

"""The pictures inside the code: nothing that is typed makes code disappear."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.reliability.results import note

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, Visit

FULL = os.environ.get("RELIABILITY") == "full"
EDITS = 500 if FULL else 40
RANDOM_EDITS = (Path(__file__).parent / "visuals.js").read_text(encoding="utf-8")


@pytest.mark.reliability
async def test_random_edits_with_one_to_five_visuals_never_hide_a_line(tone_bridge: Bridge, visit: Visit) -> None:
    seed = int(os.environ.get("EDITOR_SEED", random.randrange(2**32)))
    print(f"EDITOR_SEED={seed}")
    await visit.page.set_viewport_size({"width": 1440, "height": 2600})
    await visit.open(tone_bridge.url)
    await visit.listen()
    wrong = await visit.page.evaluate(RANDOM_EDITS, [seed, EDITS])
    # A bracket too many is an error on purpose: the console tells of it.
    visit.errors[:] = [error for error in visit.errors if "SyntaxError" not in error and "parse error" not in error]
    assert wrong is None, f"EDITOR_SEED={seed}: {wrong}"
    note("Visuals in the code", f"{EDITS} random edits and evaluations, seed {seed}: every line was shown each time.")

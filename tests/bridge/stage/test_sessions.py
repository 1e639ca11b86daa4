"""What an order takes over from where it comes from."""

from __future__ import annotations

import pytest

from bridge.sounds.orders import Order
from bridge.stage.sessions import Sessions
from prompts import SampleSpec


@pytest.mark.parametrize(
    ("prompt", "hint", "bpm"),
    [
        ("dusty break", 92.0, 92.0),
        ("dusty break, 140 bpm", 92.0, None),
        ("kick", 92.0, None),
        ("dusty break", None, None),
    ],
)
def test_the_playing_tempo_is_a_hint_for_loops_whose_words_say_none(prompt, hint, bpm) -> None:
    order = Order(spec=SampleSpec(prompt=prompt))
    assert Sessions().fill(order, hint).spec.bpm == bpm


def test_a_session_goes_before_the_hint() -> None:
    sessions = Sessions()
    sessions.change({"session": "main", "bpm": 124, "key": "fm"})
    order = Order(spec=SampleSpec(prompt="bassline loop"), session="main")
    filled = sessions.fill(order, 92.0)
    assert (filled.spec.bpm, filled.spec.key) == (124.0, "fm")

"""Time signatures. bpm counts quarter notes whatever the meter, so a bar of 6/8 is three beats long."""

from __future__ import annotations

import re
from typing import Final

COMMON_TIME: Final = "4/4"
"""The meter of everything that names none."""

_METER = re.compile(r"\s*(?P<upper>\d{1,2})\s*/\s*(?P<lower>[48])\s*")
_IN_TEXT = re.compile(r"(?<![\w/.,])(?P<meter>\d{1,2}\s?/\s?[48])(?![\w/]|[.,]\d)")
_WALTZ = re.compile(r"\bwaltz(?:es)?\b", re.IGNORECASE)
_MOST = 15


def canonical_meter(text: str) -> str:
    """Return a time signature as ``3/4`` or ``7/8``.

    Raises ValueError unless it is 2 to 15 quarters or eighths.
    """
    match = _METER.fullmatch(text)
    if match is None or not 2 <= int(match["upper"]) <= _MOST:
        raise ValueError(f"not a meter; write 2 to {_MOST} quarters or eighths, such as '4/4', '3/4' or '7/8'")
    return f"{int(match['upper'])}/{match['lower']}"


def bar_beats(meter: str | None) -> float:
    """Quarter notes in a bar: 4 without a meter, 3 in 3/4 and 6/8, 3.5 in 7/8."""
    upper, lower = (int(part) for part in (meter or COMMON_TIME).split("/"))
    return upper * 4 / lower


def meter_in(text: str) -> str | None:
    """Return the meter of "in 3/4", "6/8 groove" or "waltz"; None when the words name none."""
    for match in _IN_TEXT.finditer(text):
        if 2 <= int(match["meter"].split("/")[0]) <= _MOST:
            return canonical_meter(match["meter"])
    return "3/4" if _WALTZ.search(text) else None

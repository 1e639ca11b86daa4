"""What comes in is looked at once, at the door: text that is text, numbers that are numbers, and of both not too much.

Code that reads JSON or a query asks here first, so that nothing behind the door meets half of a surrogate pair, an
infinite number, or a text that takes long to be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from bridge.errors import InvalidRequest

T = TypeVar("T")

MOST_CHARACTERS: Final = 8192
"""Of one text. The longest that means something, a callback's address, has 2,000."""
MOST_VALUES: Final = 4000
"""Of one document, names and everything inside of lists and objects counted."""
MOST_DEPTH: Final = 32


def checked(document: T) -> T:
    """Return a JSON document as it came. Raises InvalidRequest, which names the field at its top."""
    left = MOST_VALUES
    waiting: list[tuple[Any, str, int]] = [(document, "", 0)]
    while waiting:
        value, field, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > MOST_DEPTH:
            raise _refused(field, "the document holds too many values. Send fewer", "too_large")
        if isinstance(value, str):
            _check_text(value, field)
        elif isinstance(value, float) and not math.isfinite(value):
            raise _refused(field, "the number is too large to be one. Send a finite number", "invalid_request")
        elif isinstance(value, dict):
            if len(value) > left:
                raise _refused(field, "the document holds too many values. Send fewer", "too_large")
            for name, inner in value.items():
                top = field or (name if is_text(name) else "")[:64]
                _check_text(name, top)
                waiting.append((inner, top, depth + 1))
        elif isinstance(value, list):
            if len(value) > left:
                raise _refused(field, "the list is too long. Send fewer values", "too_large")
            waiting.extend((inner, field, depth + 1) for inner in reversed(value))
    return document


def check_texts(texts: Iterable[str], what: str) -> None:
    """Raise InvalidRequest unless all of these, a request's address or headers, are text."""
    for text in texts:
        if not is_text(text):
            raise _refused(what, "it holds bytes that are not text. Write it in UTF-8", "bad_text")


def is_text(text: str) -> bool:
    """Tell whether it is Unicode text: without half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_text(text: str, field: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise _refused(field, f"the text has more than {MOST_CHARACTERS} characters. Send a shorter one", "too_long")
    if not is_text(text):
        raise _refused(field, "the text holds half of a surrogate pair. Send whole Unicode characters", "bad_text")


def _refused(field: str, why: str, code: str) -> InvalidRequest:
    return InvalidRequest(f"{field or 'body'}: {why}.", code=code, field=field or "body")

"""The keyword grammar of sample URLs: ``kick:3,warm_pad,dusty break:4``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from prompts._fields import MAX_PROMPT, plain_text
from prompts._names import sound_name

MAX_COUNT: Final = 32
"""Samples of one word."""
MAX_TOTAL: Final = 64
"""Samples of all words together."""


class InvalidKeyword(ValueError):
    """A list of keywords that cannot be read; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """One wanted sound and how many samples of it."""

    text: str
    """The words, with blanks between them."""
    name: str
    """The sound's name: ``gen_<slug>``."""
    count: int
    """1 to 32."""


def parse_keywords(text: str) -> tuple[Keyword, ...]:
    """Read ``words:count,words:count``; both ``_`` and blanks stand between words, without a count one is meant.

    The counts of words with one name add up. Raises InvalidKeyword.
    """
    found: dict[str, Keyword] = {}
    for part in filter(str.strip, text.split(",")):
        keyword = _parse(part.strip())
        known = found.get(keyword.name)
        total = keyword.count + (known.count if known else 0)
        if total > MAX_COUNT:
            raise InvalidKeyword(f"'{keyword.text}' is wanted {total} times; ask for at most {MAX_COUNT} of a word.")
        found[keyword.name] = Keyword(known.text if known else keyword.text, keyword.name, total)
    if not found:
        raise InvalidKeyword("There is no keyword; write for example 'kick:3,warm_pad'.")
    if (total := sum(keyword.count for keyword in found.values())) > MAX_TOTAL:
        raise InvalidKeyword(f"{total} samples are wanted; ask for at most {MAX_TOTAL} at once.")
    return tuple(found.values())


def _parse(part: str) -> Keyword:
    words, colon, count = part.partition(":")
    try:
        plain = plain_text(re.sub(r"^(?:musicgen|gen)_", "", words.strip()).replace("_", " "))
    except ValueError as error:
        raise InvalidKeyword(f"A keyword {error}.") from None
    plain = " ".join(plain.split())
    if len(plain) > MAX_PROMPT:
        raise InvalidKeyword(f"A keyword has {len(plain)} characters; at most {MAX_PROMPT} are allowed.")
    if colon and not re.fullmatch(r"\s*0*[1-9][0-9]{0,5}\s*", count):
        raise InvalidKeyword(f"'{plain}' needs a number from 1 to {MAX_COUNT} after the colon, as in 'kick:3'.")
    return Keyword(plain, sound_name(plain), int(count) if colon else 1)

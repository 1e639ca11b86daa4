"""Which prompts are refused: none, unless ``prompt_filter`` names a list or a filter that is installed."""

from __future__ import annotations

import asyncio
import logging
import re
import unicodedata
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, TypeAlias

from bridge.errors import InvalidRequest, StartupError

logger = logging.getLogger(__name__)

GROUP: Final = "bridge.prompt_filters"
CODE: Final = "prompt_refused"
_SECONDS: Final = 10.0
_LARGEST: Final = 4 << 20
_REFUSED: Final = "This bridge does not make sounds from such words. Try others."

PromptFilter: TypeAlias = Callable[[str], "str | bool | None"]
"""Gets the words, answers None or False when they may pass, True or a sentence for the asker when they may not. It is
called in a thread and may block for a few seconds."""


class Prompts:
    """The gate in front of the queue."""

    def __init__(self, named: str | None = None) -> None:
        """``named``: a file, or the name of an installed filter; None lets everything pass. Raises StartupError."""
        self._filter: PromptFilter | None = _find(named) if named else None

    async def check(self, prompt: str) -> None:
        """Raise InvalidRequest, code ``prompt_refused``, for words that may not pass, and when the filter fails."""
        if self._filter is None:
            return
        try:
            async with asyncio.timeout(_SECONDS):
                verdict = await asyncio.to_thread(self._filter, prompt)
        except Exception:
            logger.exception("the prompt filter failed, so the prompt was refused")
            raise InvalidRequest(
                "The words could not be checked, so nothing is made of them. Tell the person who runs this bridge.",
                code=CODE,
                field="prompt",
            ) from None
        if verdict:
            raise InvalidRequest(verdict if isinstance(verdict, str) else _REFUSED, code=CODE, field="prompt")


def list_filter(text: str) -> PromptFilter:
    """Build a filter of a list: a word or phrase a line, ``#`` begins a remark, ``*`` at a word's end continues.

    Letter case, width, accents and what stands between words make no difference; only whole words are found.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    phrases = [r"\W+".join(_word(word) for word in _folded(line).split()) for line in lines if line]
    if not phrases:
        return lambda _: None
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)")
    return lambda prompt: pattern.search(_folded(prompt)) is not None


def _word(word: str) -> str:
    return re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else "")


def _folded(text: str) -> str:
    """Lower case, narrow, without accents and invisible letters, one blank between words."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(letter for letter in apart if unicodedata.category(letter) not in {"Mn", "Cf"})
    return " ".join(kept.replace("_", " ").split())


def _find(named: str) -> PromptFilter:
    entry = next((each for each in entry_points(group=GROUP) if each.name == named), None)
    if entry is not None:
        try:
            found = entry.load()
        except Exception as error:
            raise StartupError(f"The prompt filter '{named}' cannot be loaded ({error}).") from error
        if not callable(found):
            raise StartupError(f"The prompt filter '{named}' cannot be called; it must be a function of the words.")
        checked: PromptFilter = found
        return checked
    path = Path(named).expanduser()
    try:
        if path.stat().st_size > _LARGEST:
            raise StartupError(f"The list of refused prompts {named} is larger than {_LARGEST >> 20} MiB.")
        return list_filter(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(
            f"BRIDGE_PROMPT_FILTER names '{named}', which is neither an installed filter nor a text file that can be "
            f"read ({error})."
        ) from None

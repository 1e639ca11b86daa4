"""Under which licence a model's sounds come out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from bridge.engines.musicgen.models import FACEBOOK_LICENCE, ModelRef

UNKNOWN: Final = "unknown"

# the hub writes licences in lower case; these are the SPDX identifiers of the ones that weights carry
_SPDX: Final = {
    licence.lower(): licence
    for licence in ("Apache-2.0", "MIT", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0",
                    "CC-BY-NC-SA-4.0", "AGPL-3.0", "GPL-3.0")
}  # fmt: skip
_COMMERCIAL: Final = frozenset({"Apache-2.0", "MIT", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0"})

_FRONT_MATTER = re.compile(r"\A\s*---\s*\n(.*?)\n---", re.DOTALL)
_FIELD = re.compile(r"^license:\s*['\"]?([^'\"#\n]+)", re.MULTILINE)
_MADE_FROM_FACEBOOKS = re.compile(r"^base_model:.*(?:\n\s*-.*)*?facebook/musicgen", re.MULTILINE)


class Licence(NamedTuple):
    """A licence, and whether sounds under it may be used commercially."""

    name: str
    commercial: bool


def licence_of(ref: ModelRef, folder: Path) -> Licence:
    """Say the licence of the weights in ``folder``: the known one, else what their README states, else unknown.

    What is unknown may not be used commercially, and neither may what was tuned from facebook/musicgen-*, whatever
    its README claims: CC-BY-NC-4.0 stays with adapted material.
    """
    if ref.licence is not None:
        return Licence(ref.licence, ref.licence in _COMMERCIAL)
    readme = folder / "README.md"
    front = _FRONT_MATTER.match(readme.read_text("utf-8", "replace")) if readme.is_file() else None
    if front is None:
        return Licence(UNKNOWN, commercial=False)
    if _MADE_FROM_FACEBOOKS.search(front[1]):
        return Licence(FACEBOOK_LICENCE, commercial=False)
    stated = _FIELD.search(front[1])
    if stated is None:
        return Licence(UNKNOWN, commercial=False)
    name = _SPDX.get(stated[1].strip().lower(), stated[1].strip())
    return Licence(name, name in _COMMERCIAL)

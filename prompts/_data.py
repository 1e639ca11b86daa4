"""The package's TOML files, read when they are first asked for."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return ``prompts/<name>.toml``. Everybody gets the same object: read it, do not change it."""
    return tomllib.loads(files("prompts").joinpath(f"{name}.toml").read_text(encoding="utf-8"))

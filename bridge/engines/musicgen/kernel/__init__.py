"""The decoder's step in C++, for CPUs: see README.md. ``decoder.kernel`` calls it."""

from __future__ import annotations

from pathlib import Path

from bridge.engines.musicgen.kernel import build as _build

__all__ = ["kernel_library"]


def kernel_library(folder: Path | None = None) -> Path | str:
    """Return the compiled library, or a sentence that says why there is none.

    It is the one that came with the package, or the one in ``folder`` (kept with the user's data). When neither has one
    of these sources, it is compiled, which takes seconds: into the package where that can be written, else into
    ``folder``.
    """
    places = [_build.BUILT, *([folder] if folder is not None else [])]
    try:
        if (there := _build.find(*places)) is not None:
            return there
    except OSError as error:
        return f"the kernel's sources cannot be read: {error}"
    why = ""
    for place in places:
        try:
            return _build.build(place)
        except _build.BuildFailed as error:
            why = str(error)
    return why

"""EnCodec's decoder in C++: finds or builds the library for an instruction set."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from bridge.engines.musicgen.kernel.build import BUILT, BuildFailed, build_codec, codec_name, instruction_sets


def codec_library(folder: Path | None = None, isa: str | None = None) -> Path | str:
    """Return the library for this processor, or a sentence that says why there is none.

    It is built in ``folder`` when the package's own folder cannot be written. ``isa`` forces an instruction set:
    "avx512bf16", "avx2" or "portable"; this processor must have it.
    """
    wanted = [isa] if isa else instruction_sets()
    places = [BUILT, *([folder] if folder is not None else [])]
    for name in wanted:
        for place in places:
            if (library := place / codec_name(name)).is_file() and fits(library):
                return library
    why = ""
    for place in places:
        try:
            for name in wanted:  # builds only until one fits this processor
                if fits(library := build_codec(place, [name])[0]):
                    return library
        except BuildFailed as error:
            why = str(error)
        else:
            return f"this processor has no {isa}"
    return why


@cache
def fits(library: Path) -> bool:
    """Say whether this processor can run it."""
    try:
        return bool(ctypes.CDLL(str(library)).codec_fits())
    except OSError:  # damaged, or for another system
        return False

"""EnCodec's decoder in C++: one library for each instruction set, built as the step's is."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from bridge.engines.musicgen.kernel.build import BUILT, SOURCES, BuildFailed, _compiler, _run

CODEC_SOURCES: Final = Path(__file__).parent / "codec"
_COMMON: Final = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread", "-ffp-contract=off")
_WANTS: Final = {
    "avx512bf16": (
        "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mavx2", "-mfma"
    ),
    "avx2": ("-mavx2", "-mfma"),
    "portable": (),
}  # fmt: skip
"""Options of the compiler per instruction set, the best one first."""


def codec_library(folder: Path | None = None, isa: str | None = None) -> Path | str:
    """Return the library for this processor, or a sentence that says why there is none.

    ``folder`` is where it is built when the package's own cannot be written. ``isa`` forces an instruction set:
    "avx512bf16", "avx2" or "portable"; this processor must have it.
    """
    wanted = [isa] if isa else instruction_sets()
    places = [BUILT, *([folder] if folder is not None else [])]
    for name in wanted:
        for place in places:
            if (library := place / library_name(name)).is_file() and fits(library):
                return library
    why = ""
    for place in places:
        try:
            for name in wanted:  # only as many as it takes to find the one for this processor
                if fits(library := build_codec(place, [name])[0]):
                    return library
        except BuildFailed as error:
            why = str(error)
        else:
            return f"this processor has no {isa}"
    return why


def instruction_sets() -> list[str]:
    """Names of those that a processor of this kind may have, the best one first."""
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return list(_WANTS) if x86 else ["portable"]


@cache
def library_name(isa: str) -> str:
    """Name of the library of these sources."""
    digest = hashlib.sha256(repr((_COMMON, _WANTS[isa])).encode())
    for path in [*sorted(CODEC_SOURCES.iterdir()), SOURCES / "threads.cpp", SOURCES / "threads.h"]:
        if path.suffix in {".cpp", ".h"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"codec-{isa}-{sys.platform}-{platform.machine().lower()}-{digest.hexdigest()[:16]}.so"


@cache
def fits(library: Path) -> bool:
    """Whether this processor can run it."""
    try:
        return bool(ctypes.CDLL(str(library)).codec_fits())
    except OSError:  # damaged, or another system's
        return False


def build_codec(folder: Path, isas: Sequence[str], *, extra: Sequence[str] = ()) -> list[Path]:
    """Compile what is not there yet into ``folder``. ``extra`` are more compiler options. Raises BuildFailed."""
    libraries = [folder / library_name(isa) for isa in isas]
    missing = [(isa, library) for isa, library in zip(isas, libraries, strict=True) if extra or not library.is_file()]
    if not missing:
        return libraries
    compiler = _compiler()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch,
            ThreadPoolExecutor(len(missing)) as pool,
        ):
            for made, library in pool.map(
                lambda job: (_compile(compiler, Path(scratch), job[0], extra), job[1]), missing
            ):
                made.replace(library)  # another process that builds the same never sees half of it
                for old in folder.glob(library.name.rpartition("-")[0] + "-*.so"):
                    if old != library:
                        old.unlink(missing_ok=True)
    except OSError as error:
        raise BuildFailed(f"the codec's kernel cannot be built in {folder}: {error}") from error
    return libraries


def _compile(compiler: str, scratch: Path, isa: str, extra: Sequence[str]) -> Path:
    """Compile one library. Only decode.cpp may use what the processor may lack."""
    jobs = [
        (CODEC_SOURCES / "decode.cpp", _WANTS[isa]),
        (CODEC_SOURCES / "fits.cpp", (f"-DCODEC_WANTS_{isa.upper()}",)),
        (SOURCES / "threads.cpp", ()),
    ]
    objects = []
    for source, flags in jobs:
        objects.append(str(scratch / f"{isa}-{source.stem}.o"))
        _run([compiler, *_COMMON, *flags, *extra, "-c", str(source), "-o", objects[-1]])
    library = scratch / f"{isa}.so"
    _run([compiler, "-shared", "-pthread", *extra, *objects, "-o", str(library)])
    return library

"""Compiles the C++ step and codec with this machine's compiler; this module needs only Python's standard library.

``hatch_build.py`` calls it when the package is built or installed, ``kernel_library`` on first use. The library's name
contains a digest of its sources, so a library of other sources is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent / "source"
CODEC_SOURCES = Path(__file__).parent / "codec"
BUILT = Path(__file__).parent / "_built"
"""Where an installed package keeps its library; not in git."""
COMPILERS = ("g++", "clang++", "c++")
SECONDS = 300
"""How long compiling one file may take."""

_COMMON = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread")
_PLAIN = ("api.cpp", "arena.cpp", "sampling.cpp", "packing.cpp", "threads.cpp", "kernels_portable.cpp")
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx2", "-mfma", "-mf16c")
# No contraction: a product and a sum are fused only where the source says so, in every copy of a loop.
_X86 = {
    "kernels_avx2.cpp": ("-ffp-contract=off", "-mavx2", "-mfma", "-mf16c"),
    "kernels_avx512.cpp": ("-ffp-contract=off", *_AVX512),
    "kernels_avx512bf16.cpp": ("-ffp-contract=off", *_AVX512, "-mavx512bf16"),
}


_CODEC_COMMON = (*_COMMON, "-ffp-contract=off")
_CODEC = {
    "avx512bf16": (
        "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mavx2", "-mfma"
    ),
    "avx2": ("-mavx2", "-mfma"),
    "portable": (),
}  # fmt: skip
"""Options of the compiler per instruction set, the best one first."""


class BuildFailed(Exception):
    """There is no compiler, or it failed; the message says which."""


def library_name() -> str:
    """Return the file name of the library of these sources on this kind of machine."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.iterdir(), Path(__file__)], key=lambda path: path.name):
        if path.suffix in {".cpp", ".h", ".py"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"step-{sys.platform}-{platform.machine().lower()}-{digest.hexdigest()[:16]}.so"


def find(*folders: Path) -> Path | None:
    """Return the library of these sources if one of ``folders`` contains it."""
    name = library_name()
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def build(folder: Path, *, extra: Sequence[str] = ()) -> Path:
    """Compile into ``folder`` unless the library is there, and return it. ``extra``: additional compiler options.

    Raises BuildFailed.
    """
    library = folder / library_name()
    if library.is_file() and not extra:
        return library
    compiler = _compiler()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
            made = _compile(compiler, Path(scratch), extra)
            made.replace(library)  # a process that builds the same library never sees an incomplete file
    except OSError as error:
        raise BuildFailed(f"the kernel cannot be built in {folder}: {error}") from error
    for old in folder.glob("step-*.so"):
        if old != library:
            with contextlib.suppress(OSError):
                old.unlink()
    return library


def _compiler() -> str:
    if os.name != "posix":
        raise BuildFailed("the kernel is built on Linux and macOS only")
    named = os.environ.get("CXX")
    found = next((path for name in ([named] if named else COMPILERS) if (path := shutil.which(name))), None)
    if found is None:
        raise BuildFailed("there is no C++ compiler (Debian, Ubuntu: apt install g++; macOS: xcode-select --install)")
    return found


def _compile(compiler: str, scratch: Path, extra: Sequence[str]) -> Path:
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    jobs = {**dict.fromkeys(_PLAIN, ()), **(_X86 if x86 else {})}

    def one(item: tuple[str, Sequence[str]]) -> str:
        source, flags = item
        target = scratch / f"{source}.o"
        _run([compiler, *_COMMON, *flags, *extra, "-c", str(SOURCES / source), "-o", str(target)])
        return str(target)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(one, jobs.items()))
    library = scratch / "library"
    _run([compiler, "-shared", *_COMMON, *extra, *objects, "-o", str(library)])
    return library


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - the compiler, with our own files
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"{command[0]} did not run: {error}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
        raise BuildFailed(f"{command[0]} refused: {lines[0][:300]}")


def instruction_sets() -> list[str]:
    """Return the instruction sets that a processor of this kind may have, the best one first."""
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return list(_CODEC) if x86 else ["portable"]


@cache
def codec_name(isa: str) -> str:
    """Return the file name of the codec's library of these sources."""
    digest = hashlib.sha256(repr((_CODEC_COMMON, _CODEC[isa])).encode())
    for path in [*sorted(CODEC_SOURCES.iterdir()), SOURCES / "threads.cpp", SOURCES / "threads.h"]:
        if path.suffix in {".cpp", ".h"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"codec-{isa}-{sys.platform}-{platform.machine().lower()}-{digest.hexdigest()[:16]}.so"


def build_codec(folder: Path, isas: Sequence[str], *, extra: Sequence[str] = ()) -> list[Path]:
    """Compile what is missing into ``folder``. ``extra``: additional compiler options. Raises BuildFailed."""
    libraries = [folder / codec_name(isa) for isa in isas]
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
                lambda job: (_compile_codec(compiler, Path(scratch), job[0], extra), job[1]), missing
            ):
                made.replace(library)  # a process that builds the same library never sees an incomplete file
                for old in folder.glob(library.name.rpartition("-")[0] + "-*.so"):
                    if old != library:
                        old.unlink(missing_ok=True)
    except OSError as error:
        raise BuildFailed(f"the codec's kernel cannot be built in {folder}: {error}") from error
    return libraries


def _compile_codec(compiler: str, scratch: Path, isa: str, extra: Sequence[str]) -> Path:
    """Compile one library. Only decode.cpp may use instructions that a processor may lack."""
    jobs = [
        (CODEC_SOURCES / "decode.cpp", _CODEC[isa]),
        (CODEC_SOURCES / "fits.cpp", (f"-DCODEC_WANTS_{isa.upper()}",)),
        (SOURCES / "threads.cpp", ()),
    ]
    objects = []
    for source, flags in jobs:
        objects.append(str(scratch / f"{isa}-{source.stem}.o"))
        _run([compiler, *_CODEC_COMMON, *flags, *extra, "-c", str(source), "-o", objects[-1]])
    library = scratch / f"{isa}.so"
    _run([compiler, "-shared", "-pthread", *extra, *objects, "-o", str(library)])
    return library

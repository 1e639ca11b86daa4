"""Compiles the C++ step with the compiler that this machine has; nothing but the standard library is needed for it.

``hatch_build.py`` calls it when the package is built or installed, ``kernel_library`` on first use. The library's name
holds a digest of its sources: one that is older than they are is never found.
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
from pathlib import Path

SOURCES = Path(__file__).parent / "source"
BUILT = Path(__file__).parent / "_built"
"""Where an installed package has its library; not in git."""
COMPILERS = ("g++", "clang++", "c++")
SECONDS = 300
"""How long one file may take."""

_COMMON = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread")
_PLAIN = ("api.cpp", "arena.cpp", "drawing.cpp", "packing.cpp", "threads.cpp", "kernels_portable.cpp")
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx2", "-mfma", "-mf16c")
# Never contracted: a product and a sum are one operation where the source says so, in every copy of a loop.
_X86 = {
    "kernels_avx2.cpp": ("-ffp-contract=off", "-mavx2", "-mfma", "-mf16c"),
    "kernels_avx512.cpp": ("-ffp-contract=off", *_AVX512),
    "kernels_avx512bf16.cpp": ("-ffp-contract=off", *_AVX512, "-mavx512bf16"),
}


class BuildFailed(Exception):
    """There is no compiler, or it refused; the message says which."""


def library_name() -> str:
    """Name of the library of these sources on this kind of machine."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.iterdir(), Path(__file__)], key=lambda path: path.name):
        if path.suffix in {".cpp", ".h", ".py"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"step-{sys.platform}-{platform.machine().lower()}-{digest.hexdigest()[:16]}.so"


def find(*folders: Path) -> Path | None:
    """Return the library of these sources if one of ``folders`` has it."""
    name = library_name()
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def build(folder: Path, *, extra: Sequence[str] = ()) -> Path:
    """Compile into ``folder`` unless it is there, and return the library. ``extra`` are more compiler options.

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
            made.replace(library)  # another process that builds the same never sees half of it
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

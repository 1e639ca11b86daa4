"""How fast the machine reads its memory: what the decoder's speed is held against."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

BYTES = 256 << 20
"""Read in one pass; far more than a cache holds."""


@cache
def _library() -> ctypes.CDLL | None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "bandwidth.so"
        source = Path(__file__).with_suffix(".c")
        command = [
            compiler,
            "-O3",
            "-march=native",
            "-Wno-psabi",
            "-shared",
            "-fPIC",
            "-pthread",
            source,
            "-o",
            library,
        ]
        subprocess.run(command, check=True)
        loaded = ctypes.CDLL(str(library))
    loaded.bandwidth.restype = ctypes.c_double
    loaded.bandwidth.argtypes = [ctypes.c_int, ctypes.c_size_t]
    return loaded


def bandwidth(threads: int = 2) -> float | None:
    """Return GB/s (10^9 bytes), read by ``threads`` from huge pages; None where there is no compiler."""
    library = _library()
    return None if library is None else library.bandwidth(threads, BYTES) / 1e9

"""The machine's memory bandwidth: ``_bandwidth.c``, compiled when it is first needed.

``python -P -m tests.benchmarks._bandwidth`` prints it.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks._figure import Skipped, median

BYTES = 512 * 2**20
"""Far more than any cache."""
PASSES = 5


class Bandwidth:
    """Reads half a gigabyte; ask as often as wanted."""

    def __init__(self, threads: int) -> None:
        """Compile and fill the buffer. Raises Skipped without a C compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise Skipped("there is no C compiler for the bandwidth probe")
        source = Path(__file__).with_name("_bandwidth.c")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            made = Path(folder, "bandwidth.so")
            flags = ("-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-Wno-psabi")
            subprocess.run((compiler, *flags, "-o", str(made), str(source)), check=True)
            self._library = ctypes.CDLL(str(made))
        self._library.bandwidth_buffer.restype = ctypes.c_void_p
        self._library.bandwidth_seconds.restype = ctypes.c_double
        self._buffer = ctypes.c_void_p(self._library.bandwidth_buffer(ctypes.c_size_t(BYTES)))
        if not self._buffer:
            raise Skipped("there is no memory for the bandwidth probe")
        self._threads = threads
        self.gigabytes_a_second()

    def gigabytes_a_second(self) -> float:
        """Median of a few passes, 10^9 bytes a second."""
        size, threads = ctypes.c_size_t(BYTES), ctypes.c_int(self._threads)
        passes = [self._library.bandwidth_seconds(self._buffer, size, threads) for _ in range(PASSES)]
        return BYTES / median(passes) / 1e9


if __name__ == "__main__":
    from tests.benchmarks._musicgen_model import threads

    print(f"{Bandwidth(threads()).gigabytes_a_second():.1f} GB/s")

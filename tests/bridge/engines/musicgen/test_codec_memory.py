"""The codec's kernel touches only its own memory: run under the compiler's sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.engines.musicgen.kernel.build import BuildFailed, build_codec, codec_name, instruction_sets
from bridge.engines.musicgen.kernel.codec_library import codec_library

DECODES = """
import ctypes, sys
import numpy as np

library = ctypes.CDLL(sys.argv[1])
library.codec_open.restype = ctypes.c_void_p
numbers = np.random.default_rng(0)


class Part(ctypes.Structure):
    _fields_ = [("inputs", ctypes.c_void_p), ("rows", ctypes.c_int32), ("skip", ctypes.c_int32),
                ("take", ctypes.c_int32), ("state", ctypes.c_void_p), ("outputs", ctypes.c_void_p)]


def rows(*shape):
    return numbers.standard_normal(shape).astype(np.float32)


def part(inputs, skip, take, state, outputs):
    return Part(inputs.ctypes.data, len(inputs), skip, take, None if state is None else state.ctypes.data,
                outputs.ctypes.data)


for bfloat16 in range(1 + library.codec_has_bfloat16()):
    for width in (2, 4, 12):  # of the last level
        strides, hidden = (8, 5, 4, 4), 16 * width
        codec = ctypes.c_void_p(library.codec_open(bfloat16, 3, 2, 4, (ctypes.c_int32 * 4)(*strides)))
        shapes = [(hidden, 7, 16)] + [(4 * hidden, 1, hidden)] * 4
        channels = hidden
        for stride in strides:
            channels //= 2
            shapes += [(stride * channels, 2, 2 * channels), (max(channels // 2, 2), 3, channels)]
            shapes += [(channels, 1, max(channels // 2, 2))]
        for which, (columns, taps, depth) in enumerate([*shapes, (1, 7, channels)]):
            weights, bias = rows(columns, taps, depth) / (taps * depth), rows(columns)
            refused = library.codec_set(codec, which, columns, taps, depth, ctypes.c_void_p(weights.ctypes.data),
                                        ctypes.c_void_p(bias.ctypes.data))
            assert refused == 0, (width, which)
        for lengths in ((1,), (2, 31), (5, 1, 3, 9, 9, 2, 4)):
            inputs = [rows(n + 3, 16) for n in lengths]
            states = [np.zeros((2, 2, hidden), np.float32) for _ in lengths]
            made = [np.empty((n, hidden), np.float32) for n in lengths]
            parts = [part(i, 3, n, s, m) for i, n, s, m in zip(inputs, lengths, states, made)]
            assert library.codec_lstm(codec, (Part * len(parts))(*parts), len(parts)) == 0
            audio = [np.empty(n * 640, np.float32) for n in lengths]
            parts = [part(m, 0, len(m), None, a) for m, a in zip(made, audio)]
            assert library.codec_decode(codec, (Part * len(parts))(*parts), len(parts)) == 0
            assert all(np.isfinite(a).all() and a.std() > 0 for a in audio)
        library.codec_close(codec)
print("decoded")
"""


@pytest.mark.parametrize("isa", sorted({"portable", instruction_sets()[0]}))
def test_no_byte_of_others_is_touched(tmp_path: Path, isa: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc, whose sanitizers are wanted")
    sanitizers = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(Path(path).is_absolute() for path in sanitizers):
        pytest.skip("this gcc has no sanitizers")
    if isinstance(said := codec_library(isa=isa), str):
        pytest.skip(said)
    try:
        build_codec(tmp_path, [isa], extra=["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O0", "-g"])
    except BuildFailed as error:
        pytest.skip(str(error))
    library = tmp_path / codec_name(isa)
    # the sanitizer has to be in the process before Python is; what Python itself leaks is not asked
    environment = os.environ | {"LD_PRELOAD": ":".join(sanitizers), "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-c", DECODES, str(library)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout == "decoded\n"

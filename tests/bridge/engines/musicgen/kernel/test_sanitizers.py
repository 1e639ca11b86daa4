"""The library with GCC's address and undefined-behaviour sanitizers, in a process of its own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.engines.musicgen.kernel import build

ROOT = Path(__file__).parents[5]
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from bridge.engines.musicgen.kernel import build
build.BUILT = Path(sys.argv[1])
from bridge.engines.musicgen.decoder.drawing import Columns
from bridge.engines.musicgen.decoder.kernel import KernelDecoder
from bridge.engines.musicgen.sampling import Sampling
from bridge.errors import EngineUnavailable
from tests.bridge.engines.musicgen.kernel.plain_step import MELODY, ODD, TINY, RandomWeights
for isa, shapes in (("avx512bf16", (ODD, TINY, MELODY)), ("avx2", (ODD, TINY)), ("portable", (ODD, TINY))):
    for shape in shapes:
        for precision in ("float32", "bfloat16", "int8", "int4"):
            try:
                decoder = KernelDecoder.load(
                    RandomWeights(shape), precision=precision, rows=35, max_steps=40, threads=3, isa=isa
                )
            except EngineUnavailable as error:
                print(error.message)
                continue
            for row in range(35):
                text = np.ones((3 + 2 * row, shape.hidden), np.float32)
                decoder.begin(row, text if row % 2 and shape.cross else None)
            decoder.prefill(2, np.full((39, shape.hidden), 0.1, np.float32))
            decoder.prefill(3, np.full((4, shape.hidden), 3e38, np.float32))
            for rows in ([3], [0, 5], range(35), range(3, 20)):
                assert decoder.step(rows, np.full((len(rows), shape.codebooks), shape.vocabulary, np.int32)).any()
            decoder.begin(4, np.ones((19, shape.hidden), np.float32) if shape.cross else None)
            decoder.begin(5, None)
            codes = np.full((9, shape.codebooks), shape.vocabulary, np.int32)
            used, uniform = np.zeros((shape.codebooks, shape.vocabulary), bool), np.full((8, shape.codebooks), 0.5)
            request = Columns(codes, codes > 0, uniform, used, Sampling(top_k=5, repetition_penalty=1.2), rows=[4, 5])
            decoder.run_steps([request], 20, [np.zeros(1, np.int32)])
            assert request.drawn == 8
            decoder.close()
print("clean")
"""


def runtime(compiler: str) -> str | None:
    """The library that must be there first, or None."""
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    path = Path(found.stdout.strip())
    return str(path.resolve()) if path.is_absolute() and path.exists() else None


@pytest.mark.timeout(400)
def test_no_byte_outside_its_own_and_nothing_undefined(tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None or platform.system() != "Linux" or (first := runtime(compiler)) is None:
        pytest.skip("needs GCC with its sanitizers")
    options = ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    build.build(tmp_path, extra=options)
    environment = {**os.environ, "LD_PRELOAD": first, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-P", "-c", PROGRAM, str(tmp_path)]
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("clean\n"), done.stderr[-3000:]

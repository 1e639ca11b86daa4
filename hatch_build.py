"""Compiles the MusicGen kernels when the package is built or installed from its sources, if there is a compiler.

Without one the package is installed all the same, and they are built on first use, or done without.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_BUILD = Path("bridge", "engines", "musicgen", "kernel", "build.py")


class KernelBuildHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """The hook that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the package's own folder, and tell the wheel of it. ``version``: "standard" or "editable"."""
        try:
            spec = importlib.util.spec_from_file_location("kernel_build", Path(self.root) / _BUILD)
            if spec is None or spec.loader is None:
                raise ImportError(f"{_BUILD} is missing")
            build = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(build)
            with ThreadPoolExecutor() as pool:
                step = pool.submit(build.build, build.BUILT)
                # a wheel goes to other processors of this kind, too; in place the best one is nearly always right
                sets = build.instruction_sets()
                codecs = build.build_codec(build.BUILT, sets if version == "standard" else sets[:1])
                libraries: list[Path] = [step.result(), *codecs]
        except Exception as error:  # whatever it is, the package is of use without
            print(f"the MusicGen kernels are not built now: {error}", file=sys.stderr)  # noqa: T201
            return
        if version == "standard":
            for library in libraries:  # they are in no git, and are for this kind of machine only
                build_data["force_include"][str(library)] = library.relative_to(Path(self.root)).as_posix()
            build_data["pure_python"] = False
            # any Python: they are called with ctypes
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{system}"

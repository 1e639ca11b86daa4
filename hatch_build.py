"""Compiles the MusicGen kernel when the package is built or installed from its sources, if there is a compiler.

Without one the package is installed all the same, and the kernel is built on first use, or done without.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
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
            library: Path = build.build(build.BUILT)
        except Exception as error:  # whatever it is, the package is of use without
            print(f"the MusicGen kernel is not built now: {error}", file=sys.stderr)  # noqa: T201
            return
        if version == "standard":
            # it is in no git, and is for this kind of machine only
            inside = library.relative_to(Path(self.root)).as_posix()
            build_data["force_include"][str(library)] = inside
            build_data["pure_python"] = False
            # any Python: the library is called with ctypes
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{system}"

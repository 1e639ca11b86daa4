"""What of the server's environment its child processes get: the variables that they need, by name, and no others.

A shell holds the keys of everything that its user does. An engine's process runs other people's models and libraries,
the reader of uploads other people's files: neither gets a variable that is not listed here, and no secret but what
``EngineRoom`` adds for that engine. docs/engines.md has the same list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

BASE: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHON*", "VIRTUAL_ENV",
)  # fmt: skip
"""Of every child: where programs, libraries and temporary files are, and how text is written."""
COMPUTING: Final = (
    "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "MALLOC_*",
    "GLIBC_TUNABLES", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "CC", "CXX", "OMP_*", "GOMP_*",
    "KMP_*", "MKL_*", "OPENBLAS_*", "BLIS_*", "NUMEXPR_*", "VECLIB_*", "DNNL_*", "ONEDNN_*", "NUMBA_*", "CUDA_*",
    "CUBLAS_*", "CUDNN_*", "NVIDIA_*", "NCCL_*", "HIP_*", "ROCR_*", "HSA_*", "TORCH*", "PYTORCH_*", "TRITON_*",
)  # fmt: skip
"""Of engines: how many cores, which GPU, where things are cached."""
HUB: Final = ("HF_*", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_*", "DIFFUSERS_*")
"""Of engines that load models: where they lie and where they come from; the token is added by its own rule."""
NETWORK: Final = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
"""Of engines that reach the network."""
READER: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "SYSTEMROOT")
"""Of the process that reads uploads."""
OFFLINE: Final = frozenset({"procedural", "tone", "soundfont"})
"""Engines of ours that need no network."""

_SECRET: Final = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "APIKEY", "CREDENTIAL")
"""Words in names that a pattern with ``*`` must not let through."""


def chosen(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The variables that ``names`` lists; ``LC_*`` is everything that begins so, but no secret."""
    names = tuple(names)
    exact = frozenset(name for name in names if not name.endswith("*"))
    begins = tuple(name[:-1] for name in names if name.endswith("*"))
    return {
        name: value
        for name, value in environment.items()
        if name in exact or (name.startswith(begins) and not any(word in name.upper() for word in _SECRET))
    }


def of_engine(environment: Mapping[str, str], engines: Iterable[str]) -> dict[str, str]:
    """Variables for the process of these engines.

    Beside the lists an engine gets what begins with its own name: ``MUSICGEN_KERNEL_ISA``, or ``FAL_KEY`` for a
    plug-in called ``fal``, whose secrets those are.
    """
    engines = tuple(engines)
    online = [each for each in engines if each not in OFFLINE]
    names = (*BASE, *COMPUTING, *(HUB + NETWORK if online else ()))
    own = tuple(f"{each.upper()}_" for each in engines if each)
    return chosen(environment, names) | {name: value for name, value in environment.items() if name.startswith(own)}

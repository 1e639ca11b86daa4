"""Files that a command writes: looked at before any work begins, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bridge.audio.formats import BY_SUFFIX
from bridge.errors import StartupError


def check_file(path: Path) -> str:
    """Answer the format that the file's name asks for, once it is sure that the file can be written.

    Raises StartupError.
    """
    suffix = _suffix(path)
    if suffix is None:
        names = ", ".join(f".{name}" for name in BY_SUFFIX)
        raise StartupError(f"--output {path}: the name has to end in one of {names}.", code="unknown_format")
    check_folder(path.resolve().parent, "--output")
    if path.exists() and not path.is_file():
        raise StartupError(f"--output {path}: that is not a file. Give the name of a file.", code="output_failed")
    return BY_SUFFIX[suffix]


def check_folder(folder: Path, option: str) -> None:
    """Be sure that files can be written into a folder. Raises StartupError."""
    if not folder.is_dir():
        what = "that is not a folder" if folder.exists() else "that folder does not exist; make it"
        raise StartupError(f"{option}: cannot write to {folder}: {what}, or choose another.", code="no_such_folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartupError(
            f"{option}: {folder} cannot be written. Give this user the right to, or choose another.",
            code="folder_not_writable",
        )


def numbered(path: Path, number: int) -> Path:
    """Name the file of one of several variations: ``hit.wav``, ``hit_2.wav``, ``hit_3.wav``; ``number`` from 0."""
    known = _suffix(path)
    suffix = f".{known}" if known else path.suffix
    stem = path.name[: len(path.name) - len(suffix)]
    return path if number == 0 else path.with_name(f"{stem}_{number + 1}{path.name[len(stem) :]}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at every moment it is absent, as it was before, or complete. Raises StartupError."""
    path = path.resolve()  # a link keeps leading where it leads
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StartupError(
            f"{path} cannot be written ({error.strerror}). The sound is kept: repeat the command with another file.",
            code="output_failed",
        ) from None


def _suffix(path: Path) -> str | None:
    """The end of the name that says the format; the longest fits, since .24.wav ends in .wav, too."""
    ends = (suffix for suffix in BY_SUFFIX if path.name.lower().endswith(f".{suffix}"))
    return max(ends, key=len, default=None)

"""The list of what is in a backup: written last, so that a backup with a list is a whole one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bridge import __version__
from bridge.commands._data_files import is_backup_path
from bridge.errors import StartupError

FORMAT: Final = 1
"""Version of the form of backups."""
NAME: Final = "manifest.json"
LARGEST: Final = 128 << 20
"""Bytes of a list; one of a million files is no longer."""
_KIND: Final = "sample-bridge backup"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST_FILE: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file."""

    path: str
    """Where it belongs, seen from the data folder."""
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    made: str
    """When, as ``2026-11-30T19:22:00Z``."""
    sounds: int
    files: tuple[ManifestEntry, ...]
    missing: tuple[str, ...] = ()
    """Ids of samples that the catalogue names and whose master was not there."""
    damaged: tuple[str, ...] = ()
    """Ids of samples whose master was not as the catalogue says; it is in the backup as it was."""
    program: str = __version__

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> bytes:
        """Write it."""
        document = {
            "kind": _KIND,
            "format": FORMAT,
            "program": self.program,
            "made": self.made,
            "sounds": self.sounds,
            "missing": list(self.missing),
            "damaged": list(self.damaged),
            "files": [[entry.path, entry.size, entry.sha256] for entry in self.files],
        }
        return json.dumps(document, indent=None, separators=(",", ":")).encode() + b"\n"


def now() -> str:
    """The time, as a manifest writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(data: bytes, where: str) -> Manifest:
    """Read a list that may be anybody's. ``where`` names it in sentences. Raises StartupError."""
    try:
        document: Any = json.loads(data)
        if not isinstance(document, dict) or document["kind"] != _KIND:
            raise ValueError
        version = document["format"]
        if type(version) is int and version > FORMAT:
            raise StartupError(
                f"{where} has the form {version} of backups, and this program knows forms up to {FORMAT}. "
                f"It was made by sample-bridge {str(document.get('program'))[:40]}. Update this program, then "
                "try again; nothing was changed.",
                code="backup_too_new",
            )
        return _checked(document)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise foreign(where) from None


def foreign(where: str) -> StartupError:
    """The error for what is not a backup of ours."""
    return StartupError(f"{where} is not a backup made by sample-bridge. Nothing was changed.", code="bad_backup")


def broken(where: str, why: str) -> StartupError:
    """The error for a backup that is not whole any more."""
    return StartupError(
        f"The backup {where} is damaged: {why}. Take another one; nothing was changed.", code="bad_backup"
    )


def _checked(document: dict[str, Any]) -> Manifest:
    if document["format"] != FORMAT:
        raise ValueError
    entries = tuple(_entry(*each) for each in document["files"])
    if len({entry.path for entry in entries}) != len(entries):
        raise ValueError
    return Manifest(
        made=_text(document["made"]),
        sounds=_count(document["sounds"]),
        files=entries,
        missing=tuple(_text(each) for each in document["missing"]),
        damaged=tuple(_text(each) for each in document["damaged"]),
        program=_text(document["program"]),
    )


def _entry(path: object, size: object, digest: object) -> ManifestEntry:
    if not isinstance(path, str) or not is_backup_path(path):
        raise ValueError
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError
    return ManifestEntry(path, _count(size), digest)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise ValueError
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_FILE:
        raise ValueError
    return value

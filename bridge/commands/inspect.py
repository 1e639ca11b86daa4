"""``sample-bridge inspect``: what a sound file says of how it was made, from the file alone."""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bridge.audio.files import tags
from bridge.audio.files.c2pa_signing import read_signature
from bridge.errors import StartupError

if TYPE_CHECKING:
    SubParsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names it no other way

_NONE = (
    "It says nothing about how it was made. That does not mean that no machine made it: tags are easily lost. The "
    "library it came from may know it by its audio."
)
_TYPES = {"WAV": "audio/wav", "FLAC": "audio/flac", "MP3": "audio/mpeg"}
"""Formats that can be signed."""
_LOSSLESS = (("WAV", "PCM_24"), ("FLAC", "PCM_24"))
"""Formats that hold a master bit by bit, so that its id can be worked out again."""


def add_parser(subparsers: SubParsers) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("inspect", help="show how a sound file was made, from the file alone")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="WAV, FLAC, Ogg Vorbis or MP3")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what each file says; 1 when one of them says nothing. Raises StartupError for a file that is not there."""
    found = [look_into(path) for path in args.files]
    if args.json:
        print(json.dumps({"files": found}, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(_lines(each)) for each in found))
    return 0 if all(each["provenance"] for each in found) else 1


def look_into(path: Path) -> dict[str, Any]:
    """Read one file: its format, its audio, its provenance, and whether the audio is still what was made.

    Raises StartupError.
    """
    if path.exists() and not path.is_file():
        raise StartupError(f"{path} is not a file. Name a sound file.", code="no_such_file")
    try:
        with _bytes_of(path) as data:
            form, provenance = tags.read(data)
            signature = read_signature(data, _TYPES[form]) if tags.is_signed(data) and form in _TYPES else None
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror}). Check its name.", code="no_such_file") from None
    audio = _audio(path)
    return {
        "file": str(path),
        "format": form or None,
        "audio": audio,
        "provenance": provenance,
        "c2pa": signature,
        "unchanged": _unchanged(path, form, audio, provenance),
    }


@contextlib.contextmanager
def _bytes_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, read as they are looked at: somebody's recording may be larger than the memory."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield cast(bytes, mapped)


def _audio(path: Path) -> dict[str, Any] | None:
    import soundfile

    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, OSError):
        return None
    return {
        "rate_hz": info.samplerate,
        "channels": info.channels,
        "frames": info.frames,
        "seconds": round(info.duration, 6),
        "encoding": info.subtype,
    }


def _unchanged(
    path: Path, form: str, audio: Mapping[str, Any] | None, provenance: Mapping[str, Any] | None
) -> bool | None:
    """Is the audio still exactly the one that was made? None: this format cannot tell."""
    if audio is None or provenance is None or (form, audio["encoding"]) not in _LOSSLESS:
        return None
    from bridge.audio.files import codecs

    return codecs.sample_id(*codecs.read_pcm(path)) == provenance.get("sample_id")


def _lines(found: Mapping[str, Any]) -> list[str]:
    rows: dict[str, str] = {"file": found["file"], "format": found["format"] or "not a known kind of sound file"}
    audio = found["audio"]
    if audio:
        rows["audio"] = f"{audio['seconds']:.3f} s, {audio['rate_hz']} Hz, {audio['channels']} channels"
    rows["c2pa"] = _facts(found["c2pa"])
    provenance = found["provenance"]
    if provenance is None:
        return [*_table(rows), _NONE]
    rows["made by"] = provenance.get("made_by", "")
    rows["made at"] = provenance.get("created_at", "")
    engine = provenance.get("engine")
    engine = engine if isinstance(engine, dict) else {}
    rows["engine"] = _joined(engine.get("name"), engine.get("model"), f"revision {engine.get('revision')}")
    rows["licence"] = f"{engine.get('licence')}{'' if engine.get('commercial') else ' (no commercial use)'}"
    rows["source"] = provenance.get("digital_source_type", "")
    rows["prompt"] = provenance.get("prompt") or "not told"
    rows["seed"] = str(provenance.get("seed"))
    for name in ("music", "parameters", "measures"):
        rows[name] = _facts(provenance.get(name))
    for name in ("decisions", "flags", "parents"):
        rows[name] = _joined(*_list(provenance.get(name)))
    rows["sample"] = provenance.get("sample_id", "")
    rows["audio is"] = {True: "what was made, bit by bit", False: "changed since", None: ""}[found["unchanged"]]
    return _table(rows)


def _table(rows: Mapping[str, Any]) -> list[str]:
    return [f"{label:<10} {_plain(text)}" for label, text in rows.items() if text]


def _facts(found: object) -> str:
    if not isinstance(found, dict):
        return ""
    return ", ".join(f"{name} {_short(value)}" for name, value in found.items() if value is not None)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _joined(*words: object) -> str:
    return ", ".join(_short(word) for word in words if word)


def _plain(text: object) -> str:
    """A stranger's text must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))

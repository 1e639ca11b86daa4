"""What files say of themselves: provenance, title, tempo, key, root and loop, in each format's own way.

=====  =======================================================================================
WAV    ``smpl``, ``acid``, ``bext`` with its coding history, ``LIST``/``INFO``
FLAC   Vorbis comments
Ogg    Vorbis comments; the stream's number follows from the sample's id
MP3    ID3v2.4
=====  =======================================================================================

The provenance document is whole in each of them: ICMT and the coding history, PROVENANCE, and TXXX:PROVENANCE.

mutagen writes all but WAV, and reads all but WAV and ID3. It is imported where it is used, since that takes 60 ms.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from bridge.audio.files import _id3, _ogg, provenance, riff

_PROVENANCE = "PROVENANCE"
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_NOTE = re.compile(r"([a-g])([#sb]?)(-?\d+)?(m?)")
_MIDDLE_C = 60
"""MIDI; Strudel writes it c4."""
_LOOPED = ("loop", "texture")
_ONE_SHOT = ("oneshot", "pitched")
_UTF8 = 3
"""An encoding of ID3v2.4."""


def tagged(data: bytes, extension: str, found: Mapping[str, Any]) -> bytes:
    """Put everything that is known of a sample into its file. ``found``: its provenance document.

    ``extension``: wav, wav24, flac, ogg or mp3. Raises ValueError when the bytes are of another format.
    """
    match extension:
        case "flac" | "ogg":
            return _with_comments(data, extension, found)
        case "mp3":
            return _id3_tag(found) + data[_id3.end(data) :]
        case _:
            return riff.with_chunks(data, _chunks(data, found))


def read(data: bytes) -> tuple[str, dict[str, Any] | None]:
    """Read a file's format ("WAV", "FLAC", "Ogg Vorbis", "MP3", or "" for anything else) and its provenance.

    None means that the file has none of ours. Never raises, whatever the file is.
    """
    try:
        return _read(data)
    except Exception:  # a file may be damaged in any way, and mutagen raises what it stumbles over
        return "", None


def _read(data: bytes) -> tuple[str, dict[str, Any] | None]:
    if data[:4] == b"RIFF":
        return "WAV", _first([text for chunk in riff.chunks(data) for text in _texts(chunk)])
    if data[:4] == b"OggS":
        return "Ogg Vorbis", _first(_ogg.comments(data).get(_PROVENANCE, []))
    start = _id3.end(data)
    # A FLAC file may have an ID3 tag in front: signing puts one there.
    if data[start : start + 4] == b"fLaC":
        from mutagen.flac import FLAC

        return "FLAC", _first(FLAC(io.BytesIO(data)).get(_PROVENANCE, []))
    if start or (data[:1] == b"\xff" and data[1:2] >= b"\xe0"):
        return "MP3", _first(_id3.extra_texts(data, _PROVENANCE))
    return "", None


def is_signed(data: bytes) -> bool:
    """Does the file hold a C2PA manifest, whatever it says?"""
    try:
        if data[:4] == b"RIFF":
            return any(chunk.name == b"C2PA" for chunk in riff.chunks(data))
    except riff.NotRiff:
        return False
    head = data[: _id3.end(data)]
    return b"GEOB" in head and b"c2pa" in head


def without_prompt(data: bytes) -> bytes:
    """Take the words out of a WAV file of ours; it stays as long as it was, byte for byte, and sounds the same.

    A file without a provenance document comes back as it is.
    """
    try:
        kept = riff.chunks(data, behind=riff.audio_end(data))
    except riff.NotRiff:
        return data
    if not any(_first(_texts(chunk)) for chunk in kept):
        return data
    changed = riff.with_chunks(data, [_forgetful(chunk, 0) for chunk in kept])
    # Blanks behind the JSON make up for what is gone; a file of another length would be taken for a damaged one.
    missing = len(data) - len(changed)
    return riff.with_chunks(data, [_forgetful(chunk, missing) for chunk in kept]) if missing > 0 else changed


def midi_of(note: str | None) -> int | None:
    """Read a note such as c3, f#2, bb4 (c4 is 60), or a key such as f#m (in the octave of c4); None for neither."""
    found = _NOTE.fullmatch(note.strip().lower()) if note else None
    if found is None:
        return None
    letter, accidental, octave, _ = found.groups()
    pitch = _SEMITONES[letter] + {"#": 1, "s": 1, "b": -1}.get(accidental, 0)
    number = _MIDDLE_C + pitch if octave is None else 12 * (int(octave) + 1) + pitch
    return number if 0 <= number <= 127 else None


def _chunks(data: bytes, found: Mapping[str, Any]) -> list[riff.Chunk]:
    music, audio = found["music"], found["audio"]
    kind, rate, frames = music["kind"], int(audio["rate_hz"]), int(audio["frames"])
    text = provenance.to_text(found)
    looped = kind in _LOOPED
    root = midi_of(music["root"])
    chunks = [
        riff.bext(
            description=provenance.statement(found),
            originator=provenance.PROGRAM,
            reference=found["sample_id"],
            created=found["created_at"],
            history=_history(data, found) + text + "\r\n",
        )
    ]
    if looped or root is not None:
        # A loop has no root of its own: played at middle c it sounds as it is.
        chunks.append(riff.smpl(rate, _MIDDLE_C if root is None else root, (0, frames) if looped else None))
    tempo = _tempo(music)
    if tempo or looped or kind in _ONE_SHOT:
        one_shot = kind in _ONE_SHOT
        note = root if root is not None else midi_of(music["key"])
        beats = 0 if one_shot else round(music["beats"] or frames / rate * tempo / 60)
        chunks.append(riff.acid(one_shot=one_shot, root=note, beats=beats, meter=_meter(music), bpm=tempo))
    title = {"INAM": found["prompt"]} if found["prompt"] else {}
    chunks.append(
        riff.info(
            {
                **title,
                "ISFT": found["made_by"],
                "ICRD": found["created_at"][:10],
                "ICOP": found["engine"]["licence"],
                "ICMT": text,
            }
        )
    )
    return chunks


def _history(data: bytes, found: Mapping[str, Any]) -> str:
    """The first line of EBU R 98's coding history; commas divide its fields, so its free text has none."""
    audio = found["audio"]
    bits = next(
        (int.from_bytes(chunk.data[14:16], "little") for chunk in riff.chunks(data) if chunk.name == b"fmt "), 0
    )
    mode = {1: "mono", 2: "stereo"}.get(audio["channels"], "multichannel")
    free = f"{found['made_by']}; {found['engine']['name']}; {found['digital_source_type']}".replace(",", " ")
    return f"A=PCM,F={audio['rate_hz']},W={bits},M={mode},T={free}\r\n"


def _comments(found: Mapping[str, Any]) -> dict[str, str]:
    music = found["music"]
    comments = {
        "TITLE": found["prompt"],
        "COMMENT": provenance.statement(found),
        "DATE": found["created_at"][:10],
        "LICENSE": found["engine"]["licence"],
        "BPM": f"{_tempo(music):g}" if _tempo(music) else "",
        "INITIALKEY": _key(music),
        "DIGITALSOURCETYPE": found["digital_source_type_uri"],
    }
    if music["kind"] in _LOOPED:
        comments |= {"LOOPSTART": "0", "LOOPLENGTH": str(found["audio"]["frames"])}
    comments[_PROVENANCE] = provenance.to_text(found)
    return {name: value for name, value in comments.items() if value}


def _with_comments(data: bytes, extension: str, found: Mapping[str, Any]) -> bytes:
    from mutagen import MutagenError
    from mutagen.flac import FLAC

    try:
        if extension == "ogg":
            return _ogg.with_comments(data, _comments(found), int(str(found["sample_id"])[:8], 16))
        file = io.BytesIO(data)
        flac = FLAC(file)
        flac.clear()
        flac.update(_comments(found))
        file.seek(0)
        flac.save(file, padding=lambda _: 0)
    except MutagenError as error:
        raise ValueError(f"this is not a file of the format {extension}, or it is cut off") from error
    return file.getvalue()


def _id3_tag(found: Mapping[str, Any]) -> bytes:
    from mutagen import id3

    music = found["music"]
    texts = {
        "TIT2": found["prompt"],
        "TBPM": str(round(_tempo(music))) if _tempo(music) else "",  # whole numbers only; TXXX has the exact one
        "TKEY": _key(music),
        "TSSE": found["made_by"],
        "TDRC": found["created_at"].removesuffix("Z"),
        "TCOP": f"{found['created_at'][:4]} {found['engine']['licence']}".strip(),
    }
    extras = {
        "BPM": f"{_tempo(music):g}" if _tempo(music) else "",
        "LICENSE": found["engine"]["licence"],
        "DIGITALSOURCETYPE": found["digital_source_type_uri"],
        _PROVENANCE: provenance.to_text(found),
    }
    tag = id3.ID3()
    for name, text in texts.items():
        if text:
            tag.add(id3.Frames[name](encoding=_UTF8, text=text))
    for name, text in extras.items():
        if text:
            tag.add(id3.TXXX(encoding=_UTF8, desc=name, text=text))
    tag.add(id3.COMM(encoding=_UTF8, lang="eng", desc="", text=provenance.statement(found)))
    # Saved by itself: in a whole file mutagen looks for ID3v1 as well. Where audio happens to have the letters TAG 128
    # bytes before its end, it would write over what follows.
    alone = io.BytesIO()
    tag.save(alone, padding=lambda _: 0)
    return alone.getvalue()


def _tempo(music: Mapping[str, Any]) -> float:
    return float(music["bpm"] or 0.0)


def _key(music: Mapping[str, Any]) -> str:
    """A key as ID3 writes it: F#m."""
    return str(music["key"] or "").capitalize()


def _meter(music: Mapping[str, Any]) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})/(\d{1,2})", str(music["meter"] or ""))
    return (int(found[1]), int(found[2])) if found else (4, 4)


def _texts(chunk: riff.Chunk) -> list[str]:
    """Where a WAV file's document may stand: ICMT, and the lines of the coding history."""
    return [riff.read_info(chunk).get("ICMT", ""), *riff.read_history(chunk).splitlines()]


def _first(texts: list[str]) -> dict[str, Any] | None:
    return next((found for text in texts if (found := provenance.from_text(text))), None)


def _forgetful(chunk: riff.Chunk, blanks: int) -> riff.Chunk:
    """The chunk without words, ICMT longer by this many blanks."""
    texts = riff.read_info(chunk)
    found = provenance.from_text(texts.get("ICMT", ""))
    if found is not None:
        del texts["ICMT"]
        texts.pop("INAM", None)
        return riff.info({**texts, "ICMT": provenance.to_text(provenance.without_prompt(found)) + " " * blanks})
    lines = [_forgetful_line(line) for line in riff.read_history(chunk).splitlines(keepends=True)]
    if not lines:
        return chunk
    size = len(chunk.data) - len(riff.read_history(chunk))
    return riff.Chunk(chunk.name, chunk.data[:size] + "".join(lines).encode("ascii", "replace"))


def _forgetful_line(line: str) -> str:
    found = provenance.from_text(line)
    return line if found is None else provenance.to_text(provenance.without_prompt(found)) + "\r\n"

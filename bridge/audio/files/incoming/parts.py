"""From the bytes of a file to its streams."""

from __future__ import annotations

from bridge.audio.files import _id3
from bridge.audio.files.incoming import flac, kinds, mpeg, ogg, wave
from bridge.audio.files.incoming.part import AudioRefused, Part


def parts(data: bytes) -> list[Part]:
    """Take a file apart, at least one stream. Raises AudioRefused, which names what the file is."""
    start = _id3.end(data)
    head = data[start : start + kinds.LOOKED_AT]
    if not kinds.is_taken(head) and kinds.other(head) is None:
        start = len(data) - len(data[start:].lstrip(b"\0"))
        head = data[start : start + kinds.LOOKED_AT]
    if head[:4] == b"fLaC":
        return flac.parts(data[start:])
    if head[:4] == b"OggS":
        return ogg.parts(data[start:])
    if kinds.is_taken(head):
        return wave.parts(data[start:])
    if (named := kinds.other(head)) is not None:
        raise AudioRefused("unsupported_media_type", f"This is {named}. {kinds.TAKEN}")
    if found := mpeg.parts(data):
        return found
    if data[:3] == b"ID3":
        raise AudioRefused("unreadable_audio", "This is an ID3 tag without audio behind it.")
    if not data.strip(b"\0"):
        raise AudioRefused("unsupported_media_type", f"The file holds nothing but zeros. {kinds.TAKEN}")
    shown = head[:8].hex(" ")
    raise AudioRefused("unsupported_media_type", f"The file is of no known kind; it begins with {shown}. {kinds.TAKEN}")

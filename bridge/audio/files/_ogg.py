"""Ogg Vorbis files of ours: their comments, the number of their stream, and where a short sound's pages are cut.

mutagen parses and writes pages and comments. Its ``OggVorbis.save`` is not used: it leaves the stream's number and the
pages of audio as they are, and both have to change. See ``with_comments`` and ``_halves``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported where it is used: a server of WAV files never needs it
    from mutagen.ogg import OggPage

_HEADERS = 3
"""Packets before the audio: identification, comment, setup."""
_COMMENT = b"\x03vorbis"


def comments(data: bytes) -> Any:
    """Read the comments: a mapping of names, in any case, to lists of texts.

    Raises ValueError for what is not Ogg Vorbis, and what mutagen raises for a damaged file.
    """
    from mutagen.oggvorbis import VCommentDict

    return VCommentDict(_headers(io.BytesIO(data))[1][len(_COMMENT) :])


def with_comments(data: bytes, texts: Mapping[str, str], serial: int) -> bytes:
    """Put other comments into the file and give its stream another number. Raises as ``comments``.

    Encoders number a stream by chance; with a number of our own the same audio is always the same file.
    """
    from mutagen.ogg import OggPage
    from mutagen.oggvorbis import VCommentDict

    file = io.BytesIO(data)
    packets = _headers(file)
    comment = VCommentDict(packets[1][len(_COMMENT) :])
    comment.clear()
    comment.update(texts)
    packets[1] = _COMMENT + comment.write()
    pages = [*OggPage.from_packets(packets[:1]), *OggPage.from_packets(packets[1:])]
    pages[0].first = True
    audio = []
    while file.tell() < len(data):
        audio.append(OggPage(file))
    if audio and audio[0].last:
        audio[:1] = _halves(audio[0])
    for number, page in enumerate([*pages, *audio]):
        page.serial, page.sequence = serial, number
    return b"".join(page.write() for page in [*pages, *audio])


def _headers(file: io.BytesIO) -> list[bytes]:
    """The three packets before the audio; ``file`` is then at the first page of audio."""
    from mutagen.ogg import OggPage

    pages, ended = list[OggPage](), 0
    while ended < _HEADERS:
        pages.append(OggPage(file))
        ended += len(pages[-1].packets) - (not pages[-1].complete)
    packets: list[bytes] = OggPage.to_packets(pages)
    if packets[0][:7] != b"\x01vorbis" or packets[1][:7] != _COMMENT:
        raise ValueError("this Ogg file is not Vorbis")
    return packets[:_HEADERS]


def _halves(page: OggPage) -> list[OggPage]:
    """Give a short sound's only page of audio a page before it, with the first packet alone.

    That packet yields no sample, it only prepares the next, so its page ends at 0. Chromium, measured with version 156,
    takes the start of the sound from the first page unless that is also the last: then up to 128 samples were missing.
    """
    if len(page.packets) < 2:
        return [page]
    first = type(page)()
    first.packets = [page.packets.pop(0)]
    return [first, page]

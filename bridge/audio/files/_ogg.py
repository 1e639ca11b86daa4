"""Ogg pages around Vorbis packets (RFC 3533; xiph.org, "Vorbis I specification", section 4.2)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

_HEAD = struct.Struct("<4sBBqIIIB")
_MOST_SEGMENTS = 255
_CONTINUED, _FIRST, _LAST = 0x01, 0x02, 0x04
_HEADERS = 3
"""Packets before the audio: identification, comment, setup."""
_COMMENT = b"\x03vorbis"
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class NotOgg(ValueError):
    """These bytes are no Ogg Vorbis file."""


@dataclass(frozen=True, slots=True)
class _Page:
    flags: int
    granule: int
    lacing: bytes
    body: bytes

    def write(self, serial: int, number: int) -> bytes:
        head = _HEAD.pack(b"OggS", 0, self.flags, self.granule, serial, number, 0, len(self.lacing)) + self.lacing
        checksum = struct.pack("<I", _crc(head + self.body))
        return head[:22] + checksum + head[26:] + self.body


def comment(data: bytes) -> bytes:
    """Read the comment, as ``_vorbis.unpack`` takes it. Raises NotOgg."""
    return _headers(data)[0][1][len(_COMMENT) :]


def with_comment(data: bytes, change: Callable[[bytes], bytes], serial: int) -> bytes:
    """Put another comment into the file and give its stream another number. Raises NotOgg.

    Encoders number a stream by chance; with a number of our own the same audio is always the same file.
    """
    packets, position = _headers(data)
    packets[1] = _COMMENT + change(packets[1][len(_COMMENT) :]) + b"\x01"  # the framing bit
    written = [
        page.write(serial, number)
        for number, page in enumerate([*_paged(packets[:1], _FIRST), *_paged(packets[1:], 0)])
    ]
    begun = len(written)
    while position < len(data):
        page, position = _page(data, position)
        pages = _halves(page) if len(written) == begun and page.flags & _LAST else [page]
        for each in pages:
            written.append(each.write(serial, len(written)))
    return b"".join(written)


def _headers(data: bytes) -> tuple[list[bytes], int]:
    """The three packets before the audio, and the offset of the first page of audio."""
    packets: list[bytes] = []
    begun, position = b"", 0
    while len(packets) < _HEADERS:
        page, position = _page(data, position)
        start = 0
        for size in page.lacing:
            begun += page.body[start : start + size]
            start += size
            if size < _MOST_SEGMENTS:
                packets.append(begun)
                begun = b""
    if packets[0][:7] != b"\x01vorbis" or packets[1][:7] != _COMMENT:
        raise NotOgg("this Ogg file is no Vorbis")
    return packets[:_HEADERS], position


def _page(data: bytes, position: int) -> tuple[_Page, int]:
    if data[position : position + 4] != b"OggS" or position + _HEAD.size > len(data):
        raise NotOgg("this is no Ogg file, or it is cut off")
    _, _, flags, granule, _, _, _, count = _HEAD.unpack_from(data, position)
    start = position + _HEAD.size
    lacing = data[start : start + count]
    stop = start + count + sum(lacing)
    return _Page(flags, granule, lacing, data[start + count : stop]), stop


def _paged(packets: list[bytes], flags: int) -> list[_Page]:
    """Cut packets into pages."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    body, pages, continued = b"".join(packets), list[_Page](), False
    for start in range(0, len(lacing), _MOST_SEGMENTS):
        piece = lacing[start : start + _MOST_SEGMENTS]
        size = sum(piece)
        ends_packet = any(value < _MOST_SEGMENTS for value in piece)
        pages.append(_Page(flags | (_CONTINUED if continued else 0), 0 if ends_packet else -1, piece, body[:size]))
        body, continued = body[size:], piece[-1] == _MOST_SEGMENTS
    return pages


def _halves(page: _Page) -> list[_Page]:
    """Give a short sound's only page of audio a page before it, with the first packet alone.

    That packet yields no sample, it only prepares the next, so its page ends at 0. Chromium, measured with version 156,
    takes the start of the sound from the first page unless that is also the last: then up to 128 samples were missing.
    """
    segments = next((number + 1 for number, size in enumerate(page.lacing) if size < _MOST_SEGMENTS), 0)
    if not 0 < segments < len(page.lacing):
        return [page]
    size = sum(page.lacing[:segments])
    first = _Page(page.flags & ~_LAST, 0, page.lacing[:segments], page.body[:size])
    return [first, _Page(page.flags & ~_CONTINUED, page.granule, page.lacing[segments:], page.body[size:])]


def _crc(data: bytes) -> int:
    """Ogg's checksum: the common polynomial with neither reflection nor inversion, by way of zlib's, which has both."""
    reflected = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)

"""MPEG audio (MP3 and layers I and II): its frames, without what stands between them, and with a count of them.

mpg123, which decodes for libsndfile, takes a file's length from the Xing header, or guesses it from the first frame;
and it gives up when too much stands before the first frame. So the frames are looked for here. Each stream gets a Xing
header that counts them; joined files come as a stream each, so that each loses its own encoder's delay.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.audio.files.incoming.part import Part

_SYNC = re.compile(rb"\xff[\xe2-\xff]", re.DOTALL)
_ZEROS = re.compile(rb"\0+")
_PAUSE = 16
"""Zeros that no frame begins with end a stream."""
_V1 = 3
_L1, _L2, _L3 = 3, 2, 1
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBPS = {
    (True, _L1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, _L2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, _L3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, _L1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, _L2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _L3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SURE = 3
"""Frames in a row that are needed where a stream is looked for, fewer only at the end of the file."""
_XING = 16
"""Bytes of a Xing header that has nothing but the number of frames and of bytes."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The four bytes that begin a frame."""

    key: tuple[int, int, int, bool]
    """Version, layer, rate index, mono: the same in every frame of a stream."""
    size: int
    """Bytes of the frame."""
    side: int
    """Offset of a Xing header in the frame."""


@dataclass(slots=True)
class _Stream:
    key: tuple[int, int, int, bool]
    frames: list[bytes] = field(default_factory=list)
    tagged: bool = False
    """The first frame is a Xing or Info header."""


def parts(data: bytes) -> list[Part]:
    """Take the streams of an MPEG audio file; an empty list for a file without a frame."""
    return [Part(_written(stream), "mp3") for stream in _streams(data) if len(stream.frames) > stream.tagged]


def _streams(data: bytes) -> list[_Stream]:
    streams = list[_Stream]()
    for head, frame in _frames(data):
        tagged = _tag(frame, head.side) is not None
        if tagged or not streams or streams[-1].key != head.key:
            streams.append(_Stream(head.key, [], tagged))
        if frame[head.side : head.side + 4] != b"VBRI" or len(streams[-1].frames):
            streams[-1].frames.append(frame)
    return streams


def _frames(data: bytes) -> Iterator[tuple[_Head, bytes]]:
    """Yield the frames in their order, whatever stands before, between and behind them."""
    position, known = 0, None
    while position < len(data) - 3:
        head = _head(data, position)
        if head is not None and (head.key == known or _is_sure(data, position, head)):
            if position + head.size > len(data):
                return  # cut off
            yield head, data[position : position + head.size]
            position, known = position + head.size, head.key
            continue
        known = None
        past = _past_tag(data, position)
        if past is None:
            found = _SYNC.search(data, position + 1)
            tag = _next_tag(data, position + 1, found.start() if found else len(data))
            past = tag if tag is not None else found.start() if found else len(data)
        position = past


def _is_sure(data: bytes, position: int, head: _Head) -> bool:
    for _ in range(_SURE):
        position += head.size
        if position >= len(data) - 3 or data[position : position + _PAUSE] == bytes(_PAUSE):
            return True
        if data[position] and _past_tag(data, position) is not None:
            return True
        following = _head(data, position)
        if following is None or following.key[:3] != head.key[:3]:
            return False
        head = following
    return True


def _head(data: bytes, position: int) -> _Head | None:
    second, third, fourth = data[position + 1], data[position + 2], data[position + 3]
    version, layer = second >> 3 & 3, second >> 1 & 3
    index, rate_index, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if data[position] != 0xFF or second < 0xE0 or version == 1 or layer == 0 or index in (0, 15) or rate_index == 3:
        return None
    first = version == _V1
    kbps = _KBPS[first, layer][index - 1]
    rate = _RATES[version][rate_index]
    mono = fourth >> 6 == 3
    if layer == _L1:
        size = (12_000 * kbps // rate + padding) * 4
    else:
        size = (144_000 if first or layer == _L2 else 72_000) * kbps // rate + padding
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return _Head((version, layer, rate_index, mono), size, 4 + side)


def _past_tag(data: bytes, position: int) -> int | None:
    """Where a tag that begins here ends; None when none does."""
    start = data[position : position + 10]
    if start[:3] == b"ID3" and len(start) == 10 and max(start[6:10]) < 128:
        foot = 10 if start[5] & 0x10 else 0
        size = sum(byte << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
        return position + 10 + size + foot
    if start[:8] == b"APETAGEX":
        head = data[position : position + 32]
        size, flags = (struct.unpack_from("<I", head, at)[0] for at in (12, 20)) if len(head) == 32 else (0, 0)
        # The head is followed by the items and a foot; a foot alone ends the tag.
        return position + 32 + (size if flags & 0x20000000 else 0)
    if start[:3] == b"TAG" and position + 128 >= len(data) - 1:
        return position + 128
    zeros = _ZEROS.match(data, position)
    return zeros.end() if zeros else None


def _next_tag(data: bytes, start: int, end: int) -> int | None:
    """The next tag before ``end``: its bytes may look like frames."""
    found = [at for name in (b"ID3", b"APETAGEX") if (at := data.find(name, start, end)) >= 0]
    return min(found, default=None)


def _tag(frame: bytes, side: int) -> int | None:
    """Where in the frame a Xing or Info header stands."""
    return side if frame[side : side + 4] in {b"Xing", b"Info"} else None


def _written(stream: _Stream) -> bytes:
    if stream.key[1] != _L3:
        return b"".join(stream.frames)
    audio = stream.frames[stream.tagged :]
    size = sum(map(len, audio))
    counts = struct.pack(">II", len(audio), size)
    if not stream.tagged:
        return _counting(audio[0], counts) + b"".join(audio)
    first = bytearray(stream.frames[0])
    head = _head(stream.frames[0], 0)
    at = head.side + 4 if head is not None else 0
    flags = struct.unpack_from(">I", first, at)[0]
    if flags & 3 != 3:  # a header without both numbers has no place for them
        return _counting(audio[0], counts) + b"".join(audio)
    if struct.unpack_from(">I", first, at + 4)[0] != len(audio):
        struct.pack_into(">II", first, at + 4, len(audio), size)
        delays = at + 12 + (100 if flags & 4 else 0) + (4 if flags & 8 else 0) + 21
        if len(first) > delays + 3:  # what the encoder put behind the end is not there when the end is not
            first[delays + 1] &= 0xF0
            first[delays + 2] = 0
    return bytes(first) + b"".join(audio)


def _counting(frame: bytes, counts: bytes) -> bytes:
    """Make a frame like the given one that holds nothing but a Xing header, in the smallest size that has room."""
    for index in range(1, 15):
        four = bytes((0xFF, frame[1] | 1, index << 4 | frame[2] & 0x0C, frame[3]))
        head = _head(four, 0)
        if head is not None and head.size >= head.side + _XING:
            body = four.ljust(head.side, b"\0") + b"Xing" + struct.pack(">I", 3) + counts
            return body.ljust(head.size, b"\0")
    return b""

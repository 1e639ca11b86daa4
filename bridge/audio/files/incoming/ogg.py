"""Ogg (RFC 3533): its streams, chained or side by side, each as a file of its own; FLAC without its Ogg."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.audio.files.incoming import flac
from bridge.audio.files.incoming.part import AudioRefused, Part

_HEAD = 27
_CONTINUED, _FIRST = 1, 2
_STREAMINFO = 42
"""Bytes of fLaC and STREAMINFO."""
_OTHERS = ((b"Speex   ", "Speex"), (b"\x80theora", "Theora video"), (b"CELT    ", "CELT"), (b"PCM     ", "PCM"),
           (b"OVP80", "VP8 video"), (b"BBCD", "Dirac video"), (b"\x80kate", "Kate subtitles"))  # fmt: skip


@dataclass(slots=True)
class _Page:
    serial: int
    flags: int
    lengths: bytes
    """The lacing values."""
    body: bytes
    whole: bytes


@dataclass(slots=True)
class _Stream:
    pages: list[_Page] = field(default_factory=list)

    @property
    def first(self) -> bytes:
        return self.pages[0].body


def parts(data: bytes) -> list[Part]:
    """Take the audio streams of an Ogg file, one of each link of a chain. Raises AudioRefused when there is none."""
    found, names = list[Part](), list[str]()
    for link in _links(data):
        audio = next((part for stream in link if (part := _part(stream)) is not None), None)
        if audio is not None:
            found.append(audio)
        names += [name for stream in link for start, name in _OTHERS if stream.first.startswith(start)]
    if found:
        return found
    if names:
        raise AudioRefused(
            "unsupported_media_type", f"This is an Ogg file with {names[0]}; send Vorbis, Opus or FLAC in it."
        )
    raise AudioRefused("unreadable_audio", "This is an Ogg file whose audio stream has no beginning.")


def _part(stream: _Stream) -> Part | None:
    if stream.first.startswith((b"\x01vorbis", b"OpusHead")):
        return Part(b"".join(page.whole for page in stream.pages), "ogg")
    if stream.first.startswith((b"\x7fFLAC", b"fLaC")):
        return Part(_native(stream), "ogg")
    return None


def _native(stream: _Stream) -> bytes:
    """FLAC as it stands without Ogg: the head, then every frame (what begins with its sync code)."""
    packets = list(_packets(stream))
    start = packets[0].find(b"fLaC") if packets else -1
    head = packets[0][start : start + _STREAMINFO] if len(packets[0]) > _STREAMINFO else b"fLaC" + packets[1][:38]
    last = head[:4] + bytes((head[4] | 0x80,)) + head[5:]  # no other block of metadata follows
    return flac.endless(last) + b"".join(packet for packet in packets[1:] if packet[:1] == b"\xff")


def _packets(stream: _Stream) -> Iterator[bytes]:
    held = bytearray()
    for page in stream.pages:
        if not page.flags & _CONTINUED:
            held.clear()
        position = 0
        for length in page.lengths:
            held += page.body[position : position + length]
            position += length
            if length < 255:
                yield bytes(held)
                held.clear()


def _links(data: bytes) -> list[list[_Stream]]:
    """Group the streams: those that begin together play together; a beginning behind audio begins the next link."""
    links, streams, beginning = list[list[_Stream]](), dict[int, _Stream](), False
    for page in _pages(data):
        if page.flags & _FIRST:
            if not beginning:
                streams = {}
                links.append([])
            streams[page.serial] = stream = _Stream()
            links[-1].append(stream)
        beginning = bool(page.flags & _FIRST)
        if page.serial in streams:
            streams[page.serial].pages.append(page)
    return links


def _pages(data: bytes) -> Iterator[_Page]:
    position = data.find(b"OggS")
    while 0 <= position <= len(data) - _HEAD:
        count = data[position + 26]
        lengths = data[position + _HEAD : position + _HEAD + count]
        start = position + _HEAD + count
        end = start + sum(lengths)
        if data[position + 4] != 0 or end > len(data):
            position = data.find(b"OggS", position + 4)
            continue
        serial = int.from_bytes(data[position + 14 : position + 18], "little")
        yield _Page(serial, data[position + 5], lengths, data[start:end], data[position:end])
        position = data.find(b"OggS", end)

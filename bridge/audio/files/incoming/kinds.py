"""What a file is, by its first bytes: the kinds that are taken, and names for those that are not."""

from __future__ import annotations

import re

TAKEN = "Send a WAV, MP3, FLAC or Ogg file."

_AT_START = (
    (b"FORM", "an AIFF file"),
    (b"caff", "a CAF file"),
    (b".snd", "an AU file"),
    (b"dns.", "an AU file"),
    (b"riff\x2e\x91\xcf\x11", "a Wave64 file"),
    (b"RIFF", "a RIFF file without audio"),
    (b"MAC ", "a Monkey's Audio file"),
    (b"wvpk", "a WavPack file"),
    (b"MPCK", "a Musepack file"),
    (b"MP+", "a Musepack file"),
    (b"TTA1", "a True Audio file"),
    (b"TTA2", "a True Audio file"),
    (b"TBAK", "a TAK file"),
    (b"tBaK", "a TAK file"),
    (b"OFR ", "an OptimFROG file"),
    (b"ajkg", "a Shorten file"),
    (b"DSD ", "a DSD file"),
    (b"FRM8", "a DSD file"),
    (b"#!AMR", "an AMR file"),
    (b"#!SILK", "a SILK file"),
    (b"\x02#!SILK", "a SILK file"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file (WMA or WMV)"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"MThd", "a MIDI file"),
    (b".RMF", "a RealMedia file"),
    (b".ra\xfd", "a RealAudio file"),
    (b"FLV", "a Flash video"),
    (b"Creative Voice File", "a VOC file"),
    (b"Extended Module: ", "a tracker module (XM)"),
    (b"Extended Instrument: ", "an instrument of a tracker"),
    (b"IMPM", "a tracker module (IT)"),
    (b"NIST_1A", "a NIST SPHERE file"),
    (b"ADIF", "an AAC file"),
    (b"\x0b\x77", "an AC-3 file"),
    (b"\x7f\xfe\x80\x01", "a DTS file"),
    (b"\x00\x00\x01\xba", "an MPEG program stream (video)"),
    (b"\x00\x00\x01\xb3", "an MPEG video"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
)
_RIFF = {b"AVI ": "an AVI video", b"WEBP": "a WebP picture", b"RMID": "a MIDI file", b"sfbk": "a SoundFont",
         b"ACON": "an animated cursor", b"CDDA": "a CD track's index", b"DLS ": "a DLS sound bank"}  # fmt: skip
_FORMS = {b"AIFF": "an AIFF file", b"AIFC": "an AIFF file (AIFF-C)", b"8SVX": "an IFF file (8SVX)"}
_BRANDS = ((b"M4A", "an M4A file (AAC or ALAC)"), (b"M4B", "an M4B audio book"), (b"qt", "a QuickTime video"),
           (b"3gp", "a 3GP video"), (b"avif", "an AVIF picture"), (b"heic", "a HEIC picture"))  # fmt: skip
_ADTS = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]", re.DOTALL)
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(!doctype|html|\?xml|svg|script|head)", re.IGNORECASE)
_TEXT = bytes(range(32, 127)) + b"\t\n\r\f"
LOOKED_AT = 4096
"""First bytes that tell what a file is."""


def is_taken(head: bytes) -> bool:
    """Do these bytes begin a WAV, FLAC or Ogg file?"""
    if head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return head[8:12] == b"WAVE" or len(head) < 12
    return head[:4] in {b"fLaC", b"OggS"}


def other(head: bytes) -> str | None:
    """Name what these first bytes begin, with its article; None for what is taken, and for what is not known.

    MP3 has no sign of its own: what is not known may be one, behind zeros, a tag or a damaged frame.
    """
    if not head or is_taken(head) or head[:3] == b"ID3":
        return None
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[:4] == b"FORM" and len(head) >= 12:
        return _FORMS.get(head[8:12], "an IFF file")
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide"}:
        named = next((name for brand, name in _BRANDS if head[8:].startswith(brand)), None)
        return named or "an MP4 file (AAC, ALAC or video)"
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return "an MPEG transport stream"
    named = next((name for start, name in _AT_START if head.startswith(start)), None)
    if named is not None:
        return named
    if _is_adts(head):
        return "an AAC file"
    if _MARKUP.match(head):
        return "a web page or XML"
    looked_at = head[:LOOKED_AT]
    if not looked_at.translate(None, _TEXT) or _is_text(looked_at):
        return "JSON" if looked_at.lstrip()[:1] in {b"{", b"["} else "text"
    return None


def _is_adts(head: bytes) -> bool:
    """AAC in ADTS frames: as MPEG audio, but of layer 0; the next frame has the same head."""
    if not _ADTS.match(head) or len(head) < 9:
        return False
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size > 7 and (len(head) < size + 2 or head[size : size + 2] == head[:2])


def _is_text(head: bytes) -> bool:
    """UTF-8 without control codes; a character may be cut at the end."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or error.start == 0:
            return False
        text = head[: error.start].decode()
    return not any(ord(each) < 32 and each not in "\t\n\r\f" for each in text)

"""Pictures with 256 colours, and letters of three by five dots: all that a contact sheet needs."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(rows, columns): numbers of colours."""

# Five rows of three dots, the top row first, each a digit 0..7 whose highest bit is the left dot.
_DOTS = {
    "a": "25755", "b": "65656", "c": "34443", "d": "65556", "e": "74647", "f": "74644", "g": "34553", "h": "55755",
    "i": "72227", "j": "11152", "k": "55655", "l": "44447", "m": "57755", "n": "65555", "o": "25552", "p": "65644",
    "q": "25573", "r": "65655", "s": "34216", "t": "72222", "u": "55557", "v": "55552", "w": "55775", "x": "55255",
    "y": "55222", "z": "71247", "0": "75557", "1": "26227", "2": "61247", "3": "61216", "4": "55711", "5": "74616",
    "6": "34652", "7": "71122", "8": "25252", "9": "25316", "_": "00000", ".": "00002", "-": "00700",
}  # fmt: skip


def write_text(image: Image, row: int, column: int, text: str, colour: int, scale: int = 2) -> None:
    """Put a line of small letters at (row, column); what is not known stays blank."""
    for letter in text.lower():
        dots = np.array([[int(digit) >> bit & 1 for bit in (2, 1, 0)] for digit in _DOTS.get(letter, "00000")], bool)
        big = np.kron(dots, np.ones((scale, scale), bool)).astype(bool)
        area = image[row : row + big.shape[0], column : column + big.shape[1]]
        area[big[: area.shape[0], : area.shape[1]]] = colour
        column += 4 * scale


def write_png(path: Path, image: Image, palette: npt.NDArray[np.uint8]) -> None:
    """Write an indexed PNG; ``palette`` is (colours, 3), red, green and blue."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = image.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )

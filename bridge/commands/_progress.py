"""Progress on stderr: a bar on a terminal, a line for each quarter elsewhere, nothing when a program reads along."""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from typing import TextIO

_BAR_CELLS = 24
_LINE_STEP = 0.25
_REDRAW_SECONDS = 0.1
_ERASE = "\r\x1b[K"


class ProgressBar:
    """One line of progress at a time.

    ``silent``: show nothing at all. ``stream`` decides between bar and lines by being a terminal or not.
    """

    def __init__(self, *, silent: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._silent = silent
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False
        self._drawn = 0.0
        self._step = 0

    @property
    def live(self) -> bool:
        """Is it a bar that moves?"""
        return self._live and not self._silent

    def show(self, label: str, fraction: float, eta_s: float | None = None) -> None:
        """Tell how far it is: 0..1, and seconds to go when known. Drawn at most ten times per second."""
        if self._silent:
            return
        if not self._live:
            step = int(fraction / _LINE_STEP)
            if self._step < step < 1 / _LINE_STEP:
                print(f"{label}: {fraction:4.0%}{_left(eta_s)}", file=self._stream, flush=True)
            self._step = step
            return
        now = time.monotonic()
        if self._shown and now - self._drawn < _REDRAW_SECONDS:
            return
        self._shown, self._drawn = True, now
        filled = round(min(max(fraction, 0.0), 1.0) * _BAR_CELLS)
        head = f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}] {fraction:4.0%}{_left(eta_s)}  "
        room = shutil.get_terminal_size().columns - len(head) - 1
        self._stream.write(_ERASE + head + cut(label, room))
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away, so that other lines may be printed."""
        if self._shown:
            self._shown = False
            self._stream.write(_ERASE)
            self._stream.flush()


def cut(text: str, columns: int) -> str:
    """Shorten ``text`` to this many columns of a terminal; wide characters take two, combining ones none."""
    kept, used = "", 0
    for character in text:
        wide = unicodedata.east_asian_width(character) in "WF"
        width = 0 if unicodedata.combining(character) else 2 if wide else 1
        if used + width > columns:
            return kept[:-1] + "…" if kept else ""
        kept, used = kept + character, used + width
    return kept


def printable(text: str) -> str:
    """Put blanks in the place of everything that would move a terminal's cursor or change its colours."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def clock(seconds: float) -> str:
    """Write seconds as people do: ``4 s``, ``2:05``, ``1:02:05``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _left(eta_s: float | None) -> str:
    return "" if eta_s is None else f", {clock(eta_s)} left"

"""Progress, on a real terminal and off it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TextIO

import pytest

from bridge.commands._progress import ProgressBar, clock, cut, printable


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIO, int]]:
    """A terminal of 80 columns: what programs write to, and the descriptor that its window reads."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    window, line = os.openpty()
    with os.fdopen(line, "w") as stream:
        yield stream, window
    os.close(window)


def test_a_terminal_gets_a_bar_that_redraws_itself_and_goes(terminal: tuple[TextIO, int]) -> None:
    stream, window = terminal
    progress = ProgressBar(stream=stream)
    progress.show("dusty vinyl break", 0.5, 65.0)
    drawn = os.read(window, 1000).decode()
    assert drawn == "\r\x1b[K[############............]  50%, 1:05 left  dusty vinyl break"
    progress.clear()
    assert os.read(window, 1000) == b"\r\x1b[K"


def test_the_bar_never_grows_wider_than_the_terminal(terminal: tuple[TextIO, int]) -> None:
    stream, window = terminal
    ProgressBar(stream=stream).show("埃" * 500, 0.25)
    drawn = os.read(window, 4000).decode().removeprefix("\r\x1b[K")
    assert "\n" not in drawn
    assert sum(2 if character == "埃" else 1 for character in drawn) <= 79


def test_elsewhere_there_is_a_line_for_each_quarter() -> None:
    stream = io.StringIO()
    progress = ProgressBar(stream=stream)
    for step in range(101):
        progress.show("pad", step / 100, None)
    assert stream.getvalue() == "pad:  25%\npad:  50%\npad:  75%\n"


def test_silent_says_nothing(terminal: tuple[TextIO, int]) -> None:
    stream, window = terminal
    progress = ProgressBar(stream=stream, silent=True)
    progress.show("pad", 0.5)
    progress.clear()
    os.set_blocking(window, False)
    with pytest.raises(BlockingIOError):
        os.read(window, 1)


def test_text_is_cut_by_the_columns_it_takes() -> None:
    assert cut("kick", 10) == "kick"
    assert cut("kick drum", 5) == "kick…"
    assert cut("埃埃埃", 4) == "埃…"
    assert cut("é" * 3, 3) == "é" * 3
    assert cut("kick", 0) == ""


def test_a_stranger_s_text_moves_no_cursor() -> None:
    assert printable("404 \x1b[2J\x1b]0;title\x07\r\n not\u202efound\u0085 é埃") == "404 [2J ]0;title not found é埃"


def test_seconds_are_written_as_people_do() -> None:
    assert [clock(seconds) for seconds in (0, 4.4, 59.6, 125, 3725)] == ["0 s", "4 s", "1:00", "2:05", "1:02:05"]

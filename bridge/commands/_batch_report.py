"""How a batch goes: counted, and told to people."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.client.maker import MadeSound
from bridge.commands._progress import ProgressBar, clock, printable
from bridge.errors import BridgeError


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of which no sound came."""

    prompt: str
    error: BridgeError

    def as_json(self) -> dict[str, Any]:
        """Build the form of ``--json``."""
        return {"prompt": self.prompt, "error": {"code": self.error.code, "message": self.error.message}}


@dataclass
class Tally:
    """What has come of the batch so far."""

    total: int
    sounds: list[tuple[MadeSound, str | None]] = field(default_factory=list)
    """In the order in which they were made, with the file that was written."""
    failures: list[Failure] = field(default_factory=list)
    running: dict[int, float] = field(default_factory=dict)
    """Position in the batch -> 0..1."""
    made: int = 0
    """Lines whose sounds are there."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def ended(self) -> int:
        """How many lines are done with."""
        return len(self.failures) + self.made

    @property
    def fraction(self) -> float:
        """How far the whole batch is, 0..1."""
        return (self.ended + sum(self.running.values())) / self.total

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the speed so far."""
        passed = time.monotonic() - self.begun
        return passed * (1 - self.fraction) / self.fraction if self.fraction > 0 and passed > 1 else None


class Report:
    """Tells people how the batch goes: a line for each sound, a bar below them on a terminal."""

    def __init__(self, tally: Tally, *, quiet: bool) -> None:
        self._tally = tally
        self._quiet = quiet
        self._bar = ProgressBar(silent=quiet or not sys.stderr.isatty())  # elsewhere the lines are the progress

    def progress(self, label: str) -> None:
        """Move the bar."""
        self._bar.show(f"{self._tally.ended}/{self._tally.total}  {label}", self._tally.fraction, self._tally.eta_s)

    def made(self, label: str, sounds: Sequence[MadeSound]) -> None:
        """Say what came of a line."""
        for sound in sounds:
            state = "kept" if sound.cached else "made"
            self._line(f"{state}  {sound.facts.seconds:7.3f} s  {sound.strudel}")
        self.progress(label)

    def failed(self, failure: Failure) -> None:
        """Note and say that nothing came of a line."""
        self._tally.failures.append(failure)
        text = printable(f"{failure.prompt}: {failure.error.message}")  # this prompt was never checked
        self._line(f"failed  {text} [{failure.error.code}]", failed=True)
        self.progress(failure.prompt)

    def summary(self, *, stopped: bool = False) -> None:
        """Say how it went; ``stopped``: before its end."""
        self._bar.clear()
        if self._quiet:
            return
        tally = self._tally
        new = sum(not sound.cached for sound, _ in tally.sounds)
        kept = len(tally.sounds) - new
        passed = clock(time.monotonic() - tally.begun)
        text = f"{new} made, {kept} kept already, {len(tally.failures)} failed, in {passed}."
        if stopped:
            text += f" {tally.total - tally.ended} not done; what is made is kept: the same command continues here."
        print(text, file=sys.stderr, flush=True)

    def _line(self, text: str, *, failed: bool = False) -> None:
        if self._quiet:
            return
        self._bar.clear()
        print(f"{self._count()} {text}", file=sys.stderr if failed else sys.stdout, flush=True)

    def _count(self) -> str:
        width = len(str(self._tally.total))
        return f"[{self._tally.ended:{width}}/{self._tally.total}]"

"""Acoustic instruments from a General MIDI SoundFont, played by the fluidsynth program where both are installed.

Words, notes and grooves are those of the procedural engine; only the sounds come from the font.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.engines._midi import DRUMS, PROGRAMS, Score
from bridge.engines.procedural.asking import guess, main_instrument, root_of, scored
from bridge.engines.procedural.dsp.envelopes import faded
from bridge.engines.procedural.dsp.signal import RATE, Signal, fitted, frames, peak_normalised, place, stereo
from bridge.engines.procedural.plan import NoteEvent
from bridge.engines.procedural.polish import polished, trimmed
from bridge.engines.procedural.theory import hertz, tonality
from bridge.engines.procedural.words import Reading, read
from bridge.errors import EngineError, EngineTimeout, EngineUnavailable
from bridge.plugins.clip import Clip
from bridge.plugins.engine import EngineInfo, Report

if TYPE_CHECKING:
    from prompts import SampleSpec

__all__ = ["SoundFontEngine", "find_font"]

_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/usr/local/share/fluidsynth",
    "/opt/homebrew/share/soundfonts",
)
_PREFERRED = ("FluidR3_GM", "default", "GeneralUser", "MuseScore_General", "TimGM6mb")
_FREE = {"FluidR3_GM": "MIT", "MuseScore_General": "MIT"}
"""Fonts whose licence is known to allow commercial use."""
_PATIENCE = 60.0
"""Seconds for one clip; a font of 150 MB takes half a second."""


def find_program() -> str | None:
    """Path of the fluidsynth program."""
    return shutil.which("fluidsynth")


def find_font(model: str | None = None, data_dir: Path | None = None) -> Path | None:
    """The font that ``model`` names (a file, or the name of one of these folders), else the best known one of
    ``data_dir``/soundfonts and the system.
    """
    if model and (named := Path(model).expanduser()).is_file():
        return named
    folders = ([data_dir / "soundfonts"] if data_dir else []) + [Path(folder) for folder in _FOLDERS]
    found = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.sf[23]"))]

    if model:
        return next((file for file in found if file.stem == model), None)

    def rank(file: Path) -> int:
        return next((i for i, name in enumerate(_PREFERRED) if file.stem.startswith(name)), len(_PREFERRED))

    return min(found, key=rank, default=None)


def _is_font(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"sfbk"


@dataclass(frozen=True, slots=True)
class _Player:
    """fluidsynth and its font."""

    program: str
    font: Path

    def play(self, score: Score, seconds: float, report: Report) -> Signal:
        """Play a score: ``seconds`` of dry stereo, (2, frames). Ends the program when ``report`` raises."""
        with tempfile.TemporaryDirectory(prefix="soundfont-") as folder:
            midi, raw = Path(folder, "score.mid"), Path(folder, "sound.raw")
            midi.write_bytes(score.to_bytes(seconds))
            command = [self.program, "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(RATE), "-T", "raw"]
            command += [
                "-O",
                "float",
                "-o",
                "synth.dynamic-sample-loading=1",
                "-o",
                "synth.default-soundfont=",
                "-F",
                str(raw),
                str(self.font),
                str(midi),
            ]
            with subprocess.Popen(  # noqa: S603  our own words and two paths
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as process:
                try:
                    self._wait(process, report)
                except BaseException:
                    process.kill()
                    raise
                complaint = process.stderr.read().decode("utf-8", "replace").strip() if process.stderr else ""
            if process.returncode or not raw.exists():
                raise EngineError(
                    f"fluidsynth could not play with {self.font.name}: {complaint or 'no audio came out'}."
                )
            flat = np.fromfile(raw, dtype="<f4")
        if not flat.any():  # it plays on without a font that it cannot read
            raise EngineError(f"{self.font.name} gave no sound: it is broken, or lacks this instrument. Try another.")
        return fitted(flat[: len(flat) // 2 * 2].reshape(-1, 2).T.astype(np.float64), frames(seconds))

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], report: Report) -> None:
        started = time.monotonic()
        while process.poll() is None:
            passed = time.monotonic() - started
            if passed > _PATIENCE:
                raise EngineTimeout(
                    f"fluidsynth has not answered for {_PATIENCE:.0f} seconds. Try a smaller SoundFont."
                )
            report(0.05 + 0.75 * passed / (passed + 1))
            try:
                process.wait(0.03)
            except subprocess.TimeoutExpired:
                continue


class SoundFontEngine:
    """Plays a SoundFont. ``model``: an .sf2 or .sf3 file, or its name; without it the best one.

    Raises EngineUnavailable with what to install.
    """

    def __init__(self, model: str | None = None, device: str = "auto", data_dir: Path | None = None) -> None:
        del device
        lacks = self.missing(model, data_dir)
        program, font = find_program(), find_font(model, data_dir)
        if lacks or program is None or font is None:
            raise EngineUnavailable(f"The SoundFont engine cannot play yet. {lacks}", engine="soundfont")
        font = font.resolve()
        if not _is_font(font):
            raise EngineUnavailable(f"{font.name} is not a SoundFont; name an .sf2 or .sf3 file.", engine="soundfont")
        self._player = _Player(program, font)
        licence = _FREE.get(font.stem)
        self._info = EngineInfo(
            name="soundfont",
            revision=f"1/{font.stem}/{font.stat().st_size}",
            rate=RATE,
            channels=2,
            max_seconds=120.0,
            streams=False,
            concurrency=2,
            instant=True,
            generative_model=False,
            licence=licence or f"as the SoundFont {font.stem} says",
            commercial=licence is not None,
            model=model or font.stem,
            exact_loops=True,
        )

    @staticmethod
    def missing(model: str | None = None, data_dir: Path | None = None) -> str | None:
        """What has to be installed before this engine plays, as a sentence; None when nothing is missing."""
        lacks = []
        if find_program() is None:
            lacks.append("the program fluidsynth (Debian, Ubuntu: sudo apt install fluidsynth; macOS: brew install it)")
        if find_font(model, data_dir) is None:
            lacks.append(
                f"the SoundFont {model}"
                if model
                else "a General MIDI SoundFont (Debian, Ubuntu: sudo apt install fluid-soundfont-gm; or put an .sf2 "
                "file into the folder soundfonts of the data folder)"
            )
        return f"Install {' and '.join(lacks)}." if lacks else None

    @property
    def info(self) -> EngineInfo:
        """What it is, can and costs."""
        return self._info

    def stream(self, spec: SampleSpec, seconds: float | None, report: Report) -> Iterator[Clip]:
        """Yield the one clip of ``spec``: float32, stereo, 44,100 Hz, peak at most 1.

        Raises EngineError for what no General MIDI font has, such as a laser or rain.
        """
        report(0.0)
        reading = read(spec.prompt)
        kind = str(spec.kind or "oneshot")
        if kind == "raw":
            kind = guess(spec, reading, seconds)
        if kind in {"loop", "stem"}:
            signal = self._part(spec, reading, seconds or 8.0, kind == "loop", report)
        else:
            signal = self._note(
                spec, reading, seconds or (8.0 if kind == "texture" else None), kind == "texture", report
            )
        yield Clip(stereo(signal).astype(np.float32), RATE)
        report(1.0)

    def _part(self, spec: SampleSpec, reading: Reading, seconds: float, loop: bool, report: Report) -> Signal:
        """A loop comes in again with the tail of its end; a stem ends."""
        bpm = spec.bpm or (reading.genre.bpm if reading.genre else 120.0)
        events = [event for event in scored(spec, reading, spec.seed or 0, bpm, seconds) if _has(event)]
        if not events:
            raise _unknown(spec.prompt)
        count = frames(seconds)
        sound = self._player.play(_score(events, spec.seed or 0), seconds + 3.0, report)
        bus = np.zeros((2, count))
        place(bus, sound if loop else sound[:, :count], 0)
        rooms = [event.instrument.room for event in events]
        y = polished(bus, reading.knobs, 0.05 + 0.8 * float(np.mean(rooms)), spec.seed or 0, loop=loop)
        return fitted(y, count) if loop else faded(fitted(y, count), 0.0, 0.04)

    def _note(self, spec: SampleSpec, reading: Reading, seconds: float | None, chord: bool, report: Report) -> Signal:
        """One note, or as a texture the chord of the key for as long as asked."""
        seed = spec.seed or 0
        entry = main_instrument(reading, seed)
        held = seconds if seconds is not None else entry.seconds * 2.2**reading.knobs.length
        root = root_of(entry, reading, spec.key)
        event = NoteEvent(0.0, entry, hertz(root), held, min(max(0.75 + 0.18 * reading.knobs.hard, 0.2), 1.0), 0.8)
        if not _has(event):
            raise _unknown(spec.prompt)
        events = [event]
        if chord and entry.role not in {"drum", "bass"}:
            home = tonality(spec.key, reading.scale or "minor")
            steps = [note - home.tonic for note in home.chord(0).notes]
            events = [replace(event, pitch=hertz(root + step)) for step in steps]
        if chord:
            return self._round(events, reading, held, seed, report)
        sound = self._player.play(_score(events, seed), held + (3.0 if seconds is None else 0.0), report)
        low = entry.role == "bass" or entry.name.startswith("kick")
        y = polished(sound, reading.knobs, entry.room, seed, low=low)
        if seconds is None:
            return peak_normalised(trimmed(y, 0.05), 0.89)
        return peak_normalised(faded(fitted(y, frames(seconds)), 0.0, min(0.1, 0.2 * seconds)), 0.89)

    def _round(self, events: list[NoteEvent], reading: Reading, seconds: float, seed: int, report: Report) -> Signal:
        """A texture: what rings on after its end fades over into its beginning, so it goes round."""
        count, fade = frames(seconds), frames(min(1.5, seconds / 3))
        longer = [replace(event, seconds=seconds + 2.0) for event in events]
        sound = self._player.play(_score(longer, seed), seconds + 2.0, report)
        rise = np.sin(np.linspace(0, np.pi / 2, fade))
        y = sound[:, :count]
        y[:, :fade] = y[:, :fade] * rise + sound[:, count : count + fade] * rise[::-1]
        return polished(y, reading.knobs, events[0].instrument.room, seed, loop=True)


def _has(event: NoteEvent) -> bool:
    return event.instrument.name in PROGRAMS or event.instrument.name in DRUMS


def _unknown(prompt: str) -> EngineError:
    return EngineError(
        f"No General MIDI instrument fits '{prompt}'. Name one, such as piano, strings or snare, or leave this sound "
        "to the procedural engine."
    )


def _score(events: list[NoteEvent], seed: int) -> Score:
    """MIDI for events; the seed tunes the whole by up to 3 cents and varies the touch a little, as a player does."""
    rng = np.random.default_rng([seed, 5])
    score = Score(cents=float(rng.uniform(-3, 3)))
    for event in events:
        touch = min(max(event.velocity * float(np.exp(rng.normal(0, 0.04))), 0.05), 1.0)
        midi = 69 + 12 * np.log2(event.pitch / 440.0)
        score.add(event.instrument.name, event.at, event.seconds, float(midi), touch, event.gain)
    return score

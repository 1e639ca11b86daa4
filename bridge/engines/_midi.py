"""A score as a Standard MIDI File, and which General MIDI sound plays an instrument of ours."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

PROGRAMS: dict[str, int] = {
    "piano": 0, "piano_felt": 0, "harpsichord": 6, "clavinet": 7, "electric_piano": 4, "electric_piano_reed": 5,
    "celesta": 8, "glockenspiel": 9, "music_box": 10, "vibraphone": 11, "marimba": 12, "xylophone": 13, "tubular": 14,
    "bell": 14, "bell_fm": 98, "kalimba": 108, "steel_drum": 114, "organ": 16, "organ_church": 19, "accordion": 21,
    "guitar_nylon": 24, "guitar_steel": 25, "strummed": 25, "guitar_electric": 27, "guitar_muted": 28,
    "guitar_distorted": 30, "upright_bass": 32, "electric_bass": 33, "slap_bass": 36, "acid_bass": 38, "fm_bass": 39,
    "sub_bass": 38, "reese_bass": 38, "wobble_bass": 38, "pizzicato": 45, "harp": 46, "strings": 48, "choir": 52,
    "choir_swell": 52, "vocal": 53, "vocal_ooh": 53, "vocal_chop": 53, "robot": 54, "orchestra_hit": 55, "trumpet": 56,
    "french_horn": 60, "brass": 61, "brass_stab": 61, "saxophone": 66, "oboe": 68, "clarinet": 71, "flute": 73,
    "pan_flute": 75, "lead_square": 80, "chip": 80, "lead_saw": 81, "sync": 81, "hoover": 87, "theremin": 85,
    "pluck": 81, "stab": 90, "pad_glass": 88, "pad_warm": 89, "supersaw": 90, "drone": 89, "pad_dark": 91, "sitar": 104,
    "banjo": 105, "koto": 107,
}  # fmt: skip
"""Instrument -> General MIDI program, counted from 0."""

DRUMS: dict[str, int] = {
    "kick": 36, "kick_909": 36, "kick_808": 35, "kick_acoustic": 35, "snare": 38, "snare_808": 40, "snare_brush": 40,
    "clap": 39, "snap": 37, "rim": 37, "tom_low": 41, "tom_mid": 47, "tom_high": 50, "hat": 42, "hat_open": 46,
    "hat_pedal": 44, "crash": 49, "ride": 51, "splash": 55, "gong": 52, "shaker": 70, "tambourine": 54, "conga": 63,
    "bongo": 60, "djembe": 64, "tabla": 61, "surdo": 87, "tamborim": 65, "cowbell": 56, "agogo": 67, "woodblock": 76,
    "clave": 75, "triangle": 81,
}  # fmt: skip
"""Drum -> key of the percussion channel."""

_DRUM_CHANNEL = 9
_TICKS = 10_000
"""A second; a beat is a second long in these files."""


def _variable(number: int) -> bytes:
    """Seven bits a byte, the highest first, all but the last marked."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(0x80 | (number & 0x7F))
    return bytes(reversed(out))


@dataclass(slots=True)
class Score:
    """Notes for a General MIDI player."""

    cents: float = 0.0
    """How far the whole is tuned, -100..100."""
    _events: list[tuple[int, int, bytes]] = field(default_factory=list)
    _channels: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, at: float, seconds: float, midi: float, velocity: float, gain: float) -> None:
        """Let an instrument play: times in seconds, ``velocity`` and ``gain`` 0..1."""
        start, stop = round(at * _TICKS), round((at + max(seconds, 0.03)) * _TICKS)
        if name in DRUMS:
            channel, key = _DRUM_CHANNEL, DRUMS[name]
            velocity *= min(1.0, 0.4 + 0.6 * gain)
        else:
            channel, key = self._channel(name, gain), min(max(round(midi), 0), 127)
        strength = min(max(round(127 * velocity), 1), 127)
        self._events.append((start, 1, bytes([0x90 | channel, key, strength])))
        self._events.append((stop, 0, bytes([0x80 | channel, key, 0])))

    def _channel(self, name: str, gain: float) -> int:
        if name not in self._channels:
            free = [number for number in range(16) if number != _DRUM_CHANNEL]
            channel = self._channels[name] = free[len(self._channels) % len(free)]
            tuning = min(max(round(8192 + 8192 * self.cents / 100), 0), 16_383)
            start = [
                bytes([0xC0 | channel, PROGRAMS[name]]),
                bytes([0xB0 | channel, 7, round(40 + 87 * min(gain, 1.0))]),
            ]
            # Registered parameter 1: fine tuning of the channel.
            start += [
                bytes([0xB0 | channel, controller, value])
                for controller, value in ((101, 0), (100, 1), (6, tuning >> 7), (38, tuning & 0x7F))
            ]
            self._events += [(0, -1, event) for event in start]
        return self._channels[name]

    def to_bytes(self, seconds: float) -> bytes:
        """The file, which lasts ``seconds``."""
        track = bytearray(b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"))
        now = 0
        for at, _, message in sorted(self._events, key=lambda event: event[:2]):
            track += _variable(at - now) + message
            now = at
        track += _variable(max(round(seconds * _TICKS) - now, 0)) + b"\xff\x2f\x00"
        head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS)
        return head + b"MTrk" + struct.pack(">I", len(track)) + bytes(track)

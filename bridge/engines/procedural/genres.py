"""What a genre word brings: kit, grooves, swing, harmony, bass line, sound.

Grooves are one character a sixteenth: X accent, x hit, o soft, g ghost, . rest. Bass lines: R root, 8 octave, 5 fifth,
3 third, 7 seventh, . rest, - the note before is held on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .instrument import Knobs

LEVELS = {"X": 1.0, "x": 0.8, "o": 0.55, "g": 0.3}

Groove = dict[str, str]
"""Slot of the kit -> pattern of one or more bars."""


@dataclass(frozen=True, slots=True)
class Genre:
    """One row."""

    name: str
    words: tuple[str, ...]
    bpm: float
    grooves: tuple[Groove, ...]
    basslines: tuple[str, ...]
    chords: tuple[str, ...] = ("x---------------",)
    progressions: tuple[tuple[int, ...], ...] = ((0, 5, 2, 6), (0, 3, 4, 0))
    scale: str = "minor"
    sevenths: bool = False
    swing: float = 0.0
    """0 straight .. 1 triplets, on sixteenths."""
    loose: float = 0.004
    """Sigma of the timing of a human hand, seconds."""
    kit: dict[str, str] = field(default_factory=dict)
    """Slot -> instrument, where it is not the standard kit's."""
    parts: tuple[tuple[str, str], ...] = ()
    """(line, instrument) of a full arrangement: line is bass, chords, arp, melody or pad."""
    knobs: Knobs = field(default_factory=Knobs)


STANDARD_KIT = {
    "kick": "kick",
    "snare": "snare",
    "clap": "clap",
    "hat": "hat",
    "open": "hat_open",
    "ride": "ride",
    "rim": "rim",
    "crash": "crash",
    "shaker": "shaker",
    "tom": "tom_mid",
    "low": "tom_low",
    "conga": "conga",
    "bell": "cowbell",
    "tamb": "tambourine",
    "surdo": "surdo",
    "tamborim": "tamborim",
    "agogo": "agogo",
    "wood": "woodblock",
    "perc": "bongo",
}

_FOUR = "X...x...X...x..."

GENRES: tuple[Genre, ...] = (
    Genre(
        "techno",
        ("techno", "minimal", "acid house", "warehouse", "industrial techno", "hard techno", "minimal techno"),
        130,
        (
            {
                "kick": _FOUR,
                "hat": "..x...x...x...x.",
                "clap": "....x.......x...",
                "ride": "..o...o...o...o.",
                "rim": ".....g....o.....",
            },
            {
                "kick": _FOUR,
                "open": "..x...x...x...x.",
                "hat": "xgogxgogxgogxgog",
                "rim": "...o..o....o..o.",
                "clap": "............x...",
            },
        ),
        (".RRR.RRR.RRR.RR8", "R.RR.R8.R.RR.R5."),
        ("..x.....x..x....",),
        ((0, 0, 0, 5), (0, 0, 1, 0)),
        "phrygian",
        kit={"kick": "kick_909"},
        loose=0.0,
        parts=(("bass", "acid_bass"), ("chords", "stab")),
    ),
    Genre(
        "house",
        (
            "house",
            "deep house",
            "disco",
            "garage",
            "uk garage",
            "dance",
            "edm",
            "kpop",
            "k pop",
            "nu disco",
            "tech house",
        ),
        124,
        (
            {
                "kick": _FOUR,
                "clap": "....x.......x...",
                "open": "..x...x...x...x.",
                "hat": "x.ogx.ogx.ogx.og",
                "shaker": "ogogogogogogogog",
            },
            {
                "kick": _FOUR,
                "snare": "....x.......x..g",
                "open": "..x...x...x...x.",
                "hat": "gogogogogogogogo",
                "conga": "...o..x....o..x.",
                "tamb": "....o.......o...",
            },
        ),
        ("..R...R...R...R.", "R..R..R...5.R..8"),
        ("..x...x..x....x.", "x..x..x....x..x."),
        ((0, 5, 2, 6), (0, 3, 5, 4)),
        "dorian",
        sevenths=True,
        swing=0.18,
        loose=0.002,
        kit={"kick": "kick_909"},
        parts=(("bass", "fm_bass"), ("chords", "electric_piano")),
    ),
    Genre(
        "trance",
        ("trance", "eurodance", "hands up", "psytrance", "rave", "hardcore", "hardstyle", "gabber"),
        138,
        ({"kick": _FOUR, "open": "..x...x...x...x.", "clap": "....x.......x...", "hat": "xgogxgogxgogxgog"},),
        (".RRR.RRR.RRR.RRR",),
        ("x--.x-.x-.x-.x-.",),
        ((0, 5, 2, 6), (5, 6, 0, 0)),
        kit={"kick": "kick_909"},
        loose=0.0,
        parts=(("bass", "fm_bass"), ("arp", "pluck"), ("chords", "supersaw")),
        knobs=Knobs(bright=0.2, wet=0.2),
    ),
    Genre(
        "trap",
        ("trap", "drill", "phonk", "uk drill", "footwork"),
        142,
        (
            {
                "kick": "X......x..x.....",
                "snare": "........X.......",
                "hat": "x.x.x.xxx.x.x.xx",
                "open": "..............o.",
            },
            {
                "kick": "X.....x...x..x..",
                "clap": "........X.......",
                "hat": "xgxgx.x.xgxgxxxx",
                "perc": "...o.........o..",
            },
        ),
        ("R------R..R-----", "R-----5-..R--8--"),
        ("x-------x-------",),
        ((0, 5, 0, 4), (0, 0, 5, 6)),
        kit={"kick": "kick_808", "snare": "snare_808"},
        loose=0.0,
        parts=(("bass", "kick_808"), ("melody", "bell_fm")),
        knobs=Knobs(wet=0.1),
    ),
    Genre(
        "drum and bass",
        ("drum and bass", "drum n bass", "dnb", "d n b", "jungle", "liquid", "amen", "breakcore"),
        174,
        (
            {
                "kick": "X.........x.....",
                "snare": "....X..g.g..X...",
                "hat": "x.x.x.x.x.x.x.x.",
                "ride": "..o...o...o...o.",
            },
            {
                "kick": "X.x.......xx....X.x.......x.....",
                "snare": "....X..g.g..X..g....X..g.g....X.",
                "hat": "x.x.x.x.x.x.x.x.x.x.x.x.x.x.o.x.",
            },
        ),
        ("R-----R---R-5---", "R---------8-R---"),
        ("x---------------",),
        ((0, 5, 3, 6), (0, 0, 5, 5)),
        loose=0.003,
        parts=(("bass", "reese_bass"), ("pad", "pad_warm")),
        knobs=Knobs(punch=0.3, bright=0.2),
    ),
    Genre(
        "hip hop",
        ("hip hop", "hiphop", "boom bap", "rap", "old school", "r b", "rnb", "neo soul"),
        92,
        (
            {"kick": "X..x......xx....", "snare": "....X..g....X..g", "hat": "x.x.x.x.x.x.x.x."},
            {
                "kick": "X......x..x.....X.x....x..x.....",
                "snare": "....X.......X.......X..g....X.g.",
                "hat": "x.x.x.xox.x.x.x.x.x.x.xox.x.o.x.",
            },
        ),
        ("R..R....R.R...5.", "R-....R.5-..7.R."),
        ("x-------..x-----", "x---..x-----...."),
        ((0, 3, 0, 4), (1, 4, 0, 5)),
        "dorian",
        sevenths=True,
        swing=0.45,
        loose=0.007,
        kit={"kick": "kick_acoustic"},
        parts=(("bass", "electric_bass"), ("chords", "electric_piano")),
        knobs=Knobs(lofi=0.25, punch=0.2),
    ),
    Genre(
        "lo-fi",
        ("lo fi", "lofi", "chillhop", "study beats", "chill"),
        80,
        (
            {
                "kick": "X......x..x.....",
                "rim": "....x.......x...",
                "hat": "x.o.x.o.x.o.x.og",
                "shaker": "g.o.g.o.g.o.g.o.",
            },
        ),
        ("R-----..5-..R-..",),
        ("x------.x-------", "x---------x-----"),
        ((1, 4, 0, 5), (0, 5, 1, 4)),
        "major",
        sevenths=True,
        swing=0.5,
        loose=0.009,
        kit={"kick": "kick_acoustic"},
        parts=(("bass", "upright_bass"), ("chords", "electric_piano")),
        knobs=Knobs(lofi=0.4, bright=-0.25, age=0.3),
    ),
    Genre(
        "ambient",
        ("ambient", "new age", "meditation", "drone music", "chillout"),
        70,
        ({"kick": "o...............", "shaker": "..g...g...g...g.", "rim": "..........g....."},),
        ("R---------------",),
        ("x---------------",),
        ((0, 3, 0, 4), (0, 5, 3, 0)),
        "lydian",
        parts=(("pad", "pad_warm"), ("melody", "bell_fm")),
        knobs=Knobs(wet=0.6, bright=-0.1, length=0.3),
    ),
    Genre(
        "rock",
        ("rock", "metal", "punk", "indie", "grunge", "hard rock", "heavy metal", "pop", "blues"),
        118,
        (
            {"kick": "X.....x.X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X..x..x.X.x..x..", "snare": "....X.......X..g", "ride": "x.x.x.x.x.x.x.x."},
        ),
        ("R.R.R.R.R.R.R.R.", "R.RRR.R.5.55R.7."),
        ("x-xxx-x.x-xxx-..", "x---x-x-x-x-x---"),
        ((0, 6, 5, 6), (0, 3, 4, 3)),
        loose=0.005,
        kit={"kick": "kick_acoustic"},
        parts=(("bass", "electric_bass"), ("chords", "guitar_distorted")),
        knobs=Knobs(hard=0.2),
    ),
    Genre(
        "jazz",
        ("jazz", "swing", "bebop", "bossa", "bossa nova", "big band", "smooth jazz"),
        130,
        (
            {
                "ride": "x...x.oxx...x.ox",
                "pedal": "....x.......x...",
                "brush": "....o..g....o..g",
                "kick": "o.........g.....",
            },
        ),
        ("R...3...5...7...", "R...5...8...7..."),
        ("..x-......x-....", "x--..x--........"),
        ((1, 4, 0, 5), (2, 5, 1, 4)),
        "major",
        sevenths=True,
        swing=0.85,
        loose=0.008,
        kit={"kick": "kick_acoustic", "snare": "snare_brush", "brush": "snare_brush", "pedal": "hat_pedal"},
        parts=(("bass", "upright_bass"), ("chords", "piano"), ("melody", "saxophone")),
    ),
    Genre(
        "classical",
        ("classical", "baroque", "chamber", "waltz", "romantic"),
        96,
        ({"low": "X.......o.......", "tamb": "....o.......o..."},),
        ("R-------5-------",),
        ("x-------x-------",),
        ((0, 3, 4, 0), (0, 5, 3, 4)),
        "major",
        loose=0.01,
        parts=(("chords", "strings"), ("arp", "piano"), ("melody", "flute")),
        knobs=Knobs(wet=0.25),
    ),
    Genre(
        "orchestral",
        ("orchestral", "cinematic", "epic", "trailer", "film score", "soundtrack", "symphonic", "battle", "heroic"),
        100,
        (
            {
                "low": "X..x..x.X..x..x.",
                "surdo": "X.......X.......",
                "tom": "..x..x....x..xxx",
                "crash": "x..............." + "." * 16,
            },
        ),
        ("R---R---R---R---",),
        ("x-.x-.x-x-.x-.x-", "x---------------"),
        ((0, 5, 2, 6), (0, 3, 5, 4)),
        loose=0.006,
        kit={"snare": "snare"},
        parts=(("pad", "strings"), ("chords", "brass"), ("arp", "pizzicato")),
        knobs=Knobs(wet=0.4, width=0.2),
    ),
    Genre(
        "electronic",
        (
            "electronic",
            "electro",
            "synthwave",
            "retrowave",
            "synth pop",
            "idm",
            "vaporwave",
            "new wave",
            "90s",
            "80s",
            "eighties",
        ),
        112,
        (
            {
                "kick": "X...x...X...x...",
                "snare": "....X.......X...",
                "hat": "x.x.x.x.x.x.x.x.",
                "open": "..............x.",
            },
            {
                "kick": "X..x..x...x.....",
                "clap": "....X.......X...",
                "hat": "xxgxxxgxxxgxxxgx",
                "bell": "..o..o....o..o..",
            },
        ),
        ("R.R.R.R.R.R.R.R.", "RR8RRR8RRR8RRR5R"),
        ("x---..x---..x---",),
        ((0, 5, 2, 6), (5, 6, 0, 0)),
        loose=0.0,
        kit={"snare": "snare"},
        parts=(("bass", "fm_bass"), ("arp", "pluck"), ("pad", "pad_warm")),
    ),
    Genre(
        "folk",
        ("folk", "country", "celtic", "acoustic", "bluegrass"),
        104,
        ({"kick": "x.......x.......", "tamb": "....x.......x...", "shaker": "x.o.x.o.x.o.x.o."},),
        ("R---5---R---5---",),
        ("x---x-xo..xox-xo", "x-x-x-x-x-x-x-x-"),
        ((0, 3, 4, 0), (0, 4, 5, 3)),
        "major",
        loose=0.008,
        kit={"kick": "kick_acoustic"},
        parts=(("bass", "upright_bass"), ("chords", "strummed"), ("melody", "flute")),
    ),
    Genre(
        "dubstep",
        ("dubstep", "brostep", "riddim", "bass music", "grime"),
        140,
        (
            {
                "kick": "X.........x.....",
                "snare": "........X.......",
                "hat": "x.o.x.o.x.o.x.oo",
                "perc": "......o.......o.",
            },
        ),
        ("R-------R---8---", "R---R---5-------"),
        ("x---------------",),
        ((0, 0, 5, 6),),
        "phrygian",
        loose=0.0,
        parts=(("bass", "wobble_bass"),),
        knobs=Knobs(punch=0.4, hard=0.3),
    ),
    Genre(
        "batucada",
        (
            "batucada",
            "samba",
            "carnival",
            "brazilian",
            "latin",
            "afro",
            "afrobeat",
            "salsa",
            "tribal",
            "reggaeton",
            "cumbia",
        ),
        112,
        (
            {
                "surdo": "o.......X.......",
                "tamborim": "x.xx.x.xx.x.x.xx",
                "agogo": "x.x..x.x.x..x.x.",
                "shaker": "xgoxxgoxxgoxxgox",
                "snare": "gggxggxgggxggxgg",
            },
            {
                "kick": "X.....x.X.....x.",
                "conga": "..xo..xx..xo..xx",
                "bell": "x..x..x...x.x...",
                "shaker": "xgogxgogxgogxgog",
            },
        ),
        ("R..R..R...R..5..",),
        ("x..x..x...x.x...",),
        ((0, 3, 4, 3),),
        "mixolydian",
        swing=0.12,
        loose=0.006,
        parts=(("bass", "electric_bass"), ("chords", "guitar_nylon")),
    ),
    Genre(
        "reggae",
        ("reggae", "dub", "ska", "dancehall"),
        76,
        (
            {
                "kick": "........X.......",
                "rim": "........x.......",
                "hat": "x.x.x.xox.x.x.xo",
                "open": "......o.........",
            },
        ),
        ("..R.5.R.....R.8.", "R-..R.5.....R-.."),
        ("..x-....  x-....".replace(" ", "."),),
        ((0, 3, 0, 4), (0, 6, 0, 6)),
        swing=0.3,
        loose=0.007,
        parts=(("bass", "electric_bass"), ("chords", "organ")),
        knobs=Knobs(wet=0.3),
    ),
    Genre(
        "funk",
        ("funk", "funky", "soul", "breakbeat", "break", "breaks", "drum break"),
        104,
        (
            {"kick": "X.x.......x..x..", "snare": "....X..g.g.gX..g", "hat": "x.x.x.x.x.x.x.x."},
            {
                "kick": "X.x.......xx....X.x.......x.....",
                "snare": "....X..g.g..X..g....X..g.g..X.X.",
                "hat": "x.x.x.x.x.x.x.x.x.x.x.x.x.x.o.x.",
                "open": "..............................x.",
            },
        ),
        ("R..8..R.5.7.R...", "R.R..8.R..5.7.R."),
        ("..x...x.x..x....", "x..xx..x..x.x..."),
        ((0, 3, 0, 3), (0, 6, 5, 6)),
        "dorian",
        sevenths=True,
        swing=0.2,
        loose=0.005,
        kit={"kick": "kick_acoustic"},
        parts=(("bass", "slap_bass"), ("chords", "clavinet")),
    ),
)

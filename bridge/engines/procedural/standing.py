"""Words that this engine has no instrument of its own for: what plays instead, and which words are one thing."""

from __future__ import annotations

from typing import Final

STANDS_IN: Final = {
    "violin": "strings",
    "viola": "strings",
    "cello": "strings",
    "orchestra": "strings",
    "mandolin": "banjo",
    "ukulele": "banjo",
    "trombone": "brass",
    "tuba": "brass",
    "piccolo": "flute",
    "recorder": "flute",
    "ocarina": "flute",
    "whistle": "flute",
    "bassoon": "oboe",
    "duduk": "oboe",
    "harmonica": "accordion",
    "melodica": "accordion",
    "balafon": "marimba",
    "shamisen": "koto",
    "guzheng": "koto",
    "tanpura": "sitar",
    "keyboard": "electric piano",
    "boom": "kick",
    "explosion": "impact",
    "braam": "impact",
    "river": "ocean",
    "stream": "ocean",
    "birds": "insects",
    "birdsong": "insects",
    "forest": "insects",
    "hiss": "white noise",
    "pink noise": "white noise",
    "crackle": "fire",
}
"""What is asked for, and the sound that is taken instead."""

SAME_THING: Final = (
    ("electric piano", "rhodes", "keys"),
    ("strings", "string section"),
    ("sax", "saxophone"),
    ("vocal", "voice", "singer"),
    ("kick", "bass drum"),
    ("hat", "hi hat"),
    ("crash", "cymbal"),
    ("rim", "rim shot"),
    ("whoosh", "swoosh", "sweep"),
    ("riser", "uplifter"),
    ("texture", "ambience", "ambiance", "soundscape"),
    ("atmosphere", "atmos", "atmospheric"),
    ("rain", "rainfall"),
    ("ocean", "waves", "sea"),
    ("noise bed", "white noise"),
)
"""Words for one thing."""

"""All instruments by name: the families, one file each.

To add an instrument: write a function from a ``Note`` to a signal in the file of its family (or a new file, listed in
``FAMILIES``), and put an ``Instrument`` with its words into that file's ``INSTRUMENTS``. Nothing else knows it: words
choose it, ``Note.knobs`` turn it, grooves and lines play it by its role, and the tests measure it with the others.
"""

from __future__ import annotations

from . import ambience, bass, cymbals, drums, effects, keys, leads, mallets, pads, percussion, plucked, voices, winds
from .instrument import Instrument

FAMILIES = (drums, cymbals, percussion, bass, keys, mallets, plucked, pads, voices, winds, leads, effects, ambience)

TABLE: dict[str, Instrument] = {entry.name: entry for family in FAMILIES for entry in family.INSTRUMENTS}

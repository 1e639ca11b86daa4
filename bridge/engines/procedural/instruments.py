"""All instruments by name: the families, one file each."""

from __future__ import annotations

from . import ambience, bass, cymbals, drums, effects, keys, leads, mallets, pads, percussion, plucked, voices, winds
from .instrument import Instrument

FAMILIES = (drums, cymbals, percussion, bass, keys, mallets, plucked, pads, voices, winds, leads, effects, ambience)

TABLE: dict[str, Instrument] = {entry.name: entry for family in FAMILIES for entry in family.INSTRUMENTS}

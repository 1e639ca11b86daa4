"""Sets: the code of players, kept so that another browser finds it. Nothing is overwritten: each save is a version."""

from bridge.sets.forgetting import forget_in_sets
from bridge.sets.store import MOST_BYTES, MOST_SETS, MOST_VERSIONS, KeptSet, SetStore, SetSummary
from bridge.sets.versions import LONGEST_NAME, MOST_CODE_BYTES, Version, checked_name

__all__ = [
    "LONGEST_NAME",
    "MOST_BYTES",
    "MOST_CODE_BYTES",
    "MOST_SETS",
    "MOST_VERSIONS",
    "KeptSet",
    "SetStore",
    "SetSummary",
    "Version",
    "checked_name",
    "forget_in_sets",
]

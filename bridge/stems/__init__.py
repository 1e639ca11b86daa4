"""Contract D: many stems for another program, coherent with each other, stored where it fetches them."""

from bridge.stems._forgetting import forget_words
from bridge.stems._request import MOST_STEMS, Plan, PlannedStem, StemRequest, read_request
from bridge.stems._worker import Stems

__all__ = ["MOST_STEMS", "Plan", "PlannedStem", "StemRequest", "Stems", "forget_words", "read_request"]

"""Contract D: many stems for another program, coherent with each other, stored where it fetches them."""

from bridge.exchange.stems.forgetting import forget_words
from bridge.exchange.stems.plan import MOST_STEMS, PlannedStem, StemPlan, StemRequest, read_request
from bridge.exchange.stems.worker import Stems

__all__ = ["MOST_STEMS", "PlannedStem", "StemPlan", "StemRequest", "Stems", "forget_words", "read_request"]

# SPDX-License-Identifier: Apache-2.0 (other people's engines import this file; the rest is AGPL-3.0-or-later)
"""Engines that know which note they play."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prompts import SampleSpec


@runtime_checkable
class KnowsItsNote(Protocol):
    """An engine with one method more: measuring need not guess the octave of an organ, or the root of a chord."""

    def note(self, spec: SampleSpec) -> int | None:
        """Which note a pitched sound of ``spec`` is, as a MIDI number (60 is c4); None: it has to be measured."""
        ...


def note_of(engine: object, spec: SampleSpec) -> int | None:
    """What an engine says about the note of ``spec``; None for one that does not know."""
    return engine.note(spec) if isinstance(engine, KnowsItsNote) else None

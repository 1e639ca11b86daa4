"""Audio as the body itself, as ``curl --data-binary @file -H 'Content-Type: audio/wav'`` sends it."""

from __future__ import annotations

from aiohttp import web

RAW_AUDIO_PATHS = frozenset({"/api/upload", "/evaluate"})
"""Calls that take it."""
RAW_AUDIO_TYPES = ("audio/*", "application/ogg", "application/octet-stream")
"""None of them is sent by a page of another site without asking first (CORS)."""


def is_raw_audio(request: web.Request) -> bool:
    """Is the body an audio file? What it is, its first bytes say, not its type."""
    if not request.body_exists or "Content-Type" not in request.headers:
        return False
    kind = request.content_type
    return kind.startswith("audio/") or kind in RAW_AUDIO_TYPES

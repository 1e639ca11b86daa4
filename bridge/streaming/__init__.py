"""Streams: sound without an end, made passage by passage while it plays.

A stream is a chain of passages (bridge/engines/hosting/passages.py), faded over into each other and cut into chunks
(stream.py). What follows what is in course.py; passages.py has those that are being made, or heard, by whom.
"""

from __future__ import annotations

from .stream import AudioChunk, Stream, StreamOptions, Streams

__all__ = ["AudioChunk", "Stream", "StreamOptions", "Streams"]

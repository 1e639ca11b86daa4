"""From an engine's clip to a finished sample. Imported only where audio is made or encoded."""

RECIPE = "finish-3"
"""Version of finishing, part of every sound's identity: a better recipe makes a new slot."""

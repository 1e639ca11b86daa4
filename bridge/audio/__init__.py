"""From an engine's clip to a finished sample. Imported only where audio is made or encoded."""

"""What audio is like: onsets, pitch, key, tempo grid, loudness, spectrum."""

"""From an engine's clip to a sample that fits: trim, grid, stretch, seam, level, gate."""

"""Engines in child processes: starting, asking, stopping, and what runs inside the child."""

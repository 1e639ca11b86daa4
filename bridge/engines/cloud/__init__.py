"""Engines that ask a provider over HTTP, and what they may spend."""

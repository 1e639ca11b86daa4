"""The disk under the data folder: what its errors mean, and whether it can be written now."""

from bridge.disk._errors import as_ours, on_disk

__all__ = ["as_ours", "on_disk"]

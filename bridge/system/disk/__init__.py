"""The disk under the data folder: what its errors mean, whether it can be written now, and what it need not keep."""

from bridge.system.disk._errors import as_ours, of_disk, on_disk
from bridge.system.disk._memory import MemoryFiles
from bridge.system.disk._removing import remove_files
from bridge.system.disk._watch import DiskWatch

__all__ = ["DiskWatch", "MemoryFiles", "as_ours", "of_disk", "on_disk", "remove_files"]

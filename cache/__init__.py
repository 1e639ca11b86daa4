"""What we have: the catalogue of samples and sounds, their files, and the numbered log of changes."""

from cache._deliveries import PlainDisk
from cache._errors import (
    FormatTooNew,
    NameTaken,
    NotStorable,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreNotWritable,
    UnknownSound,
    UnknownTake,
    described,
    from_os_error,
    from_sqlite_error,
    full,
    is_of_disk,
)
from cache._events import sound_data
from cache._forgetting import Forgetting
from cache._inspecting import Listing, catalogue_complaints, complaints, known_format, listing, rebuild_due
from cache._model import Event, EventType, Facts, NewSample, Published, Sample, Slot, Sound, Target
from cache._opening import Schema, Step, explained, newer_than, open_database, statements, too_new
from cache._private import write_private
from cache._reading import Order, Wanted
from cache._rebuilding import Rebuilding, Rebuilt, Told, rebuild
from cache._replacing import MARK, alone_in, aside, remove_aside, replace_file, set_aside
from cache._store import Options, SampleStore
from cache._sweeping import Damage

__all__ = [
    "MARK",
    "Damage",
    "Event",
    "EventType",
    "Facts",
    "Forgetting",
    "FormatTooNew",
    "Listing",
    "NameTaken",
    "NewSample",
    "NotStorable",
    "Options",
    "Order",
    "PlainDisk",
    "Published",
    "Rebuilding",
    "Rebuilt",
    "Sample",
    "SampleStore",
    "Schema",
    "Slot",
    "Sound",
    "Step",
    "StoreClosed",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreNotWritable",
    "Target",
    "Told",
    "UnknownSound",
    "UnknownTake",
    "Wanted",
    "alone_in",
    "aside",
    "catalogue_complaints",
    "complaints",
    "described",
    "explained",
    "from_os_error",
    "from_sqlite_error",
    "full",
    "is_of_disk",
    "known_format",
    "listing",
    "newer_than",
    "open_database",
    "rebuild",
    "rebuild_due",
    "remove_aside",
    "replace_file",
    "set_aside",
    "sound_data",
    "statements",
    "too_new",
    "write_private",
]

"""Callers' words in what is kept of their requests: in the ledger, and in the stems' files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bridge.audio.files import tags
from bridge.exchange.object_storage import FOLDER, replace_file
from bridge.exchange.stems.ledger import FILE, Ledger

_WORDS = ("prompt", "style", "genre", "mood")
"""Parameters that hold a caller's own words."""


def forget_words(data_dir: Path, sample_ids: Collection[str] | None) -> None:
    """Take the words out of stored files of these samples; None: of all. The requests that
    they were made for forget them too, when they have ended.

    Waits for the disk. Files in object storage are their owner's. Raises StorageFull, BridgeError.
    """
    for path in (data_dir / FOLDER).glob("*/*.wav"):
        if path.is_file() and (sample_ids is None or path.stem.rpartition("-")[2] in sample_ids):
            data = path.read_bytes()
            without = tags.without_prompt(data)
            if without != data:
                replace_file(path, without)
    if (data_dir / FILE).exists():
        ledger = Ledger(data_dir / FILE)
        try:
            ledger.wipe(_WORDS, sample_ids)
            ledger.clean()
        finally:
            ledger.close()

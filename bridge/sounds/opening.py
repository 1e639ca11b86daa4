"""Opening a data folder: the only place where store, engines and queue are put together.

Server, command line and tests all come through ``open_service``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bridge.audio.files.c2pa_signing import open_signer
from bridge.audio.files.delivery import FileMaker
from bridge.engines.cloud.spending import check_spending
from bridge.engines.hosting.engines import EngineRoom
from bridge.errors import BridgeError, Busy, StartupError
from bridge.jobs import Journal
from bridge.settings import Settings
from bridge.sounds.library import Library
from bridge.sounds.service import SampleService
from bridge.system.ledgers import JOURNAL, LOSSES, refuse_newer
from bridge.system.threads import WRITES
from cache import SampleStore, StoreError

logger = logging.getLogger(__name__)

_NO_LIMIT: Final = 2**62
_QUICKLY_LOOKED_FOR: Final = 2000
"""Sounds whose files are looked at before the first answer."""


def _open_journal(store: SampleStore) -> tuple[Journal, list[str]]:
    """Open the journal of jobs, and say what is wrong with it. Raises StartupError."""
    path = store.path / JOURNAL
    missing = bool(store.count()) and not os.path.lexists(path)
    try:
        return Journal(path), [f"The journal of jobs, {path}, was missing. {LOSSES[JOURNAL].lost}"] if missing else []
    except BridgeError as error:
        raise StartupError(error.message, code=error.code) from None


def _look_for_lost(store: SampleStore) -> None:
    """Know what is lost from the first answer on, where the look is quick; otherwise the sweep tells it."""
    try:
        if store.count() <= _QUICKLY_LOOKED_FOR:
            store.look_for_lost()
    except StoreError as error:
        logger.warning("The sound files could not be looked at: %s", error)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[SampleService]:
    """Open the store, the engines and the queue of one data folder, and close them again.

    Raises StartupError when the folder cannot be used (locked, read-only, full, of a newer version), and when there is
    no engine of the name that is set.
    """
    await WRITES.run(refuse_newer, settings.data_dir)
    try:
        store = await WRITES.run(
            SampleStore.open,
            settings.data_dir,
            masters_limit=settings.masters_limit_mb * 2**20 or _NO_LIMIT,
            deliveries_limit=settings.deliveries_limit_mb * 2**20,
            undo_seconds=settings.undo_seconds,
        )
    except StoreError as error:
        raise StartupError(str(error), code=error.code) from None
    try:
        await WRITES.run(_look_for_lost, store)
        await WRITES.run(check_spending, settings.data_dir)
        engines = EngineRoom(settings, store.incoming)
        journal, notes = await WRITES.run(_open_journal, store)
        files = FileMaker(settings.prompts_in_files, open_signer(settings.c2pa_certificate, settings.c2pa_key))
        service = SampleService(settings, Library(store, files), engines, journal, notes)
        if service.choice.name not in engines.names:
            raise StartupError(
                f"There is no engine '{service.choice.name}'. Choose one of {', '.join(engines.names)}, or auto.",
                code="unknown_engine",
            )
        try:
            await service.queue.resume()
            await service.missing.look()
            yield service
        finally:
            await service.close()
    finally:
        try:
            await WRITES.run(store.close)
        except (StoreError, Busy) as error:  # what was promised is on the disk already
            logger.warning("The data folder could not be closed cleanly: %s", error)

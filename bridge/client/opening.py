"""Two ways to a sound, one door: through the server that has the data folder open, or with a service of our own.

The lock of the data folder decides, so two openers never see two libraries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from bridge.client.maker import Maker
from bridge.errors import StartupError
from bridge.settings import Settings

_LOCK_SECONDS = 5.0
"""So long the holder of the folder may take to say where it listens, or to let go."""
_ASK_AGAIN_SECONDS = 0.1


@asynccontextmanager
async def open_maker(settings: Settings) -> AsyncIterator[Maker]:
    """Open the data folder, or find who has it open.

    Raises StartupError when the folder cannot be used, or another process has it open and no server answers.
    """
    async with AsyncExitStack() as stack:
        yield await _open(settings, stack)


async def _open(settings: Settings, stack: AsyncExitStack) -> Maker:
    from bridge.client.local import open_local
    from bridge.client.server_file import run_key, running_server

    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return await stack.enter_async_context(open_local(settings))
        except StartupError as error:
            if error.code != "store_locked":
                raise
            url = running_server(settings.data_dir)
            if url is None and time.monotonic() > deadline:
                raise
        if url is not None:
            from bridge.client.server import open_server

            key = run_key(settings.data_dir) or settings.key_for_server
            return await stack.enter_async_context(open_server(url, key))
        await asyncio.sleep(_ASK_AGAIN_SECONDS)

"""``server.json`` in the data folder: how other commands find the server that has it open."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge import __version__
from bridge.settings import Settings
from cache import StoreError, replace_file

logger = logging.getLogger(__name__)

NAME = "server.json"


@contextlib.contextmanager
def announced(settings: Settings, port: int, key: str) -> Iterator[None]:
    """Write the file while the server runs, and take it away afterwards.

    ``key``: of this run, with all rights. The file is this user's alone from its first byte on.
    """
    path = settings.data_dir / NAME
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104  a comparison
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    document = {"url": url, "pid": os.getpid(), "version": __version__, "key": key}
    try:
        replace_file(path, json.dumps(document).encode())
    except StoreError as error:  # a server on a full disk still plays what is kept
        logger.warning("Other commands cannot find this server, since %s cannot be written: %s", path, error)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def running_server(data_dir: Path) -> str | None:
    """Base URL of the server that has the folder open; None when there is none, or it was killed."""
    document = _running(data_dir)
    return document["url"] if document else None


def run_key(data_dir: Path) -> str | None:
    """Key of the run of the server that has the folder open: all rights, for this user's commands."""
    document = _running(data_dir)
    return document["key"] or None if document else None


def _running(data_dir: Path) -> dict[str, str] | None:
    try:
        if not (data_dir / NAME).is_file():  # a pipe would be waited for
            return None
        document: Any = json.loads((data_dir / NAME).read_text())
        found = {"url": str(document["url"]), "key": str(document.get("key", ""))}
        os.kill(int(document["pid"]), 0)
    except PermissionError:  # another user's process: it runs
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found

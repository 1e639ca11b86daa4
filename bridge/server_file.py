"""``server.json`` in the data folder: how other commands find the server that has it open."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge import __version__
from bridge.settings import Settings

NAME = "server.json"


@contextlib.contextmanager
def announced(settings: Settings, port: int) -> Iterator[None]:
    """Write the file while the server runs, and take it away afterwards."""
    path = settings.data_dir / NAME
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104  a comparison
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid(), "version": __version__}))
    temporary.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_server(data_dir: Path) -> str | None:
    """Base URL of the server that has the folder open; None when there is none, or it was killed."""
    try:
        document: Any = json.loads((data_dir / NAME).read_text())
        os.kill(int(document["pid"]), 0)
        return str(document["url"])
    except PermissionError:
        return str(document["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""What a client says on a plain WebSocket: JSON objects as text."""

from __future__ import annotations

import json
from typing import Any

from bridge.errors import InvalidRequest
from bridge.system.incoming import checked


def read_message(data: str | bytes, example: str) -> dict[str, Any]:
    """Read one message. Raises InvalidRequest, whose sentence shows ``example``, for anything but a JSON object."""
    if isinstance(data, bytes):
        raise InvalidRequest("Messages on this connection are JSON text, not binary.")
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InvalidRequest(f"Send a JSON object, such as {example}.")
    return checked(said)

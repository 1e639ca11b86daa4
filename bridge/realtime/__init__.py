"""Push: numbered events over Socket.IO."""

import sys


def _import_socketio() -> None:
    """Load python-socketio without ``requests``, which its client takes when it is installed: 5 MB no server uses."""
    absent = object()
    requests = sys.modules.get("requests", absent)
    sys.modules["requests"] = None  # type: ignore[assignment]  # how Python spells "cannot be imported"
    try:
        import socketio  # noqa: F401
    finally:
        if requests is absent:
            del sys.modules["requests"]
        else:
            sys.modules["requests"] = requests  # type: ignore[assignment]


_import_socketio()

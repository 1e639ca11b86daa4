"""Keys and addresses: which keys there are, which key a caller shows, and who can reach the server."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress

from bridge.errors import StartupError
from bridge.settings import Settings

SUBPROTOCOL = "sample-bridge"
"""What a browser's WebSocket offers next to its key."""
_KEY_PROTOCOL = f"{SUBPROTOCOL}.key."


def is_loopback(name: str) -> bool:
    """Tell whether a host name or address always means this machine."""
    bare = name.lower().strip("[]").removesuffix(".")
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def is_exposed(settings: Settings) -> bool:
    """Tell whether others than this machine can reach the server: it is bound to more than a loopback address."""
    return not is_loopback(settings.host)


def check_key(settings: Settings, given: str | None) -> bool:
    """Tell whether a caller who shows the key ``given`` (None: shows none) may do more than read.

    Without a set key everybody may on loopback, and no client elsewhere.
    """
    if not settings.all_keys:
        return not is_exposed(settings)
    return key_name(settings, given) is not None


def key_name(settings: Settings, given: str | None) -> str | None:
    """Name who shows the key ``given``; empty for the one key without a name, None where it is not a key."""
    if given is None:
        return None
    # surrogatepass: header bytes that are not UTF-8, and JSON's "\\ud800", arrive as lone surrogates
    shown = given.encode("utf-8", "surrogatepass")
    found = [name for name, key in settings.all_keys.items() if hmac.compare_digest(key.encode(), shown)]
    return found[0] if found else None


def key_of_protocols(offered: str) -> str | None:
    """Read the key that a WebSocket client put among its subprotocols: base64url, since these are bare tokens.

    A page cannot give a WebSocket headers, and a key in the address would end in logs and histories. None: no key.
    """
    for name in offered.split(","):
        coded = name.strip()
        if coded.startswith(_KEY_PROTOCOL):
            coded = coded.removeprefix(_KEY_PROTOCOL)
            try:
                return base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True).decode()
            except (binascii.Error, ValueError):
                return ""
    return None


SHORTEST_KEY = 8
"""Letters of a key on a server that others reach: fewer can be guessed."""


def check_key_lengths(settings: Settings) -> str | None:
    """Look at the keys at start: a sentence for the log when one is short and only this machine can guess it.

    Raises StartupError when others can.
    """
    short = [name for name, key in settings.all_keys.items() if len(key) < SHORTEST_KEY]
    if not short:
        return None
    which = f"The key '{short[0]}' in BRIDGE_API_KEYS" if short[0] else "BRIDGE_API_KEY"
    told = (
        f"{which} has fewer than {SHORTEST_KEY} characters, so it can be guessed. Set a long one: "
        "python3 -c 'import secrets; print(secrets.token_urlsafe(24))' prints one."
    )
    if is_exposed(settings):
        raise StartupError(told, code="weak_key")
    return told


def exposure_notice(settings: Settings) -> str | None:
    """Say at start that an exposed server without a key only reads; None when there is nothing to say."""
    if settings.all_keys or not is_exposed(settings):
        return None
    return (
        f"Listening on {settings.host or 'every address'} without a key: everybody who reaches it may listen, but not "
        f"make sounds. Set BRIDGE_API_KEY to a long secret, or BRIDGE_HOST=127.0.0.1 to keep it on this machine."
    )

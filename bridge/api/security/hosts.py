"""Host headers: by which names this server may be called. A page that rebinds a name of its own gets no further."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from bridge.settings import Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


class Hosts:
    """Names that are this server.

    ``machine``: this machine's own host name; ``container``: whether the server runs in one, where a name without a
    dot is that of a compose service. Both are found out unless given.
    """

    def __init__(self, settings: Settings, *, machine: str | None = None, container: bool | None = None) -> None:
        names = {settings.host.lower().rstrip("."), *settings.allowed_hosts}
        if settings.public_url:
            names.add(urlsplit(settings.public_url.lower()).hostname or "")
        machine = (socket.gethostname() if machine is None else machine).lower().rstrip(".")
        short = machine.partition(".")[0]
        if machine:
            names |= {machine, short, f"{short}.local"}
        self._names = frozenset(names - {"", ".local"}) | LOOPBACK_NAMES
        self._any_short = in_container() if container is None else container

    def is_ours(self, host: str) -> bool:
        """Judge a Host header."""
        name = host_name(host)
        return name is not None and (
            name in self._names or name.endswith(".localhost") or is_ip(name) or (self._any_short and "." not in name)
        )


def in_container() -> bool:
    """Tell whether this process runs in a container: Docker's, Podman's or Kubernetes' marks."""
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return any(mark.exists() for mark in marks) or bool({"container", "KUBERNETES_SERVICE_HOST"} & os.environ.keys())


def host_name(host: str) -> str | None:
    """Return the lower-case name in a Host header, without port, brackets and final dot; None when it is not a host."""
    name, port = split_port(host.lower())
    if port and not (port.isascii() and port.isdigit()):
        return None
    if name.startswith("["):
        literal = name[1:-1]
        return literal if ":" in literal and is_ip(literal) else None
    name = name.removesuffix(".")
    return name if name and _HOST_CHARACTERS.issuperset(name) else None


def split_port(authority: str) -> tuple[str, str | None]:
    """Split ``name:port`` and ``[::1]:port``; without a colon the port is None."""
    head, bracket, tail = authority.rpartition("]")
    name, colon, port = tail.partition(":")
    return head + bracket + name, port if colon else None


def is_ip(text: str) -> bool:
    """Tell whether a text is an IP address as people write it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

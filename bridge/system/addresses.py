"""Which internet addresses are public: one table for callbacks, cloud engines and everything else that fetches.

An address that a stranger names must not lead into this machine or its network. It is judged twice: as it is written,
before any work, and after the look-up, on the very address that the socket connects to.

The table is IANA's special-purpose registries for IPv4 (RFC 6890) and IPv6, whole: a block stands in it also where the
registry calls it globally reachable, since no web server lives in those. Of IPv6 only 2000::/3 is given out at all. An
IPv6 address that carries an IPv4 address is judged by that one, too.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[..., Iterable[tuple[Any, ...]]]
"""Answers as ``socket.getaddrinfo`` does."""

SPECIAL: Final[tuple[str, ...]] = (
    # IPv4
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # carriers' shared space
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link local, with the clouds' metadata servers
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # AMT
    "192.88.99.0/24",  # 6to4 relays, given up
    "192.168.0.0/16",  # private
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    # IPv6: what lies outside 2000::/3 is not given out
    "::/3",  # with loopback, IPv4-mapped and -compatible, 64:ff9b::/96, 64:ff9b:1::/48, 100::/64
    "2001::/23",  # protocol assignments, with Teredo, benchmarks, AMT, ORCHID, drones
    "2001:db8::/32",  # documentation
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
    "4000::/2",  # with 5f00::/16, segment routing
    "8000::/1",  # with fc00::/7, fe80::/10, fec0::/10, ff00::/8
)
"""Networks that are not of the public internet."""

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""Upper half of an interface identifier whose lower half is an IPv4 address (RFC 5214)."""
_NUMBERS: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}")
_PRIVATE_NAMES: Final = (".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa")
"""Ends of names that no public server has (RFC 6761, 6762, 8375; ICANN's .internal)."""


class NotPublic(OSError):
    """The name leads to an address that is not of the public internet, or to none."""


class Table:
    """Judges addresses. ``special``: the networks that are not public; tests give others."""

    def __init__(self, special: Iterable[str] = SPECIAL) -> None:
        self._special: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in special)

    def is_public(self, address: str) -> bool:
        """Is a numeric address, as ``getaddrinfo`` answers it, one of the public internet? One with a zone never is."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
            return False
        inner = list(_carried(found))
        # These two blocks are nothing but a way of writing IPv4; the others are networks of their own.
        plain = isinstance(found, ipaddress.IPv6Address) and (found in _MAPPED or found in _NAT64)
        return all(not self._holds(each) for each in (inner if plain else [found, *inner]))

    def may_be_public(self, host: str) -> bool:
        """Could a host, as a web address writes it, be public? Names that have to be looked up pass."""
        name = plain_name(host)
        number = literal(name)
        if number is not None:
            return self.is_public(number)
        if ":" in name or "%" in name or not name:
            return False  # an address with a zone, or nonsense
        return "." in name and not name.endswith(_PRIVATE_NAMES)

    def reach(self, host: str, port: int, seconds: float, resolve: Resolve | None = None) -> socket.socket:
        """Connect to a public host. Nothing is sent anywhere before all its addresses are known to be public.

        ``seconds``: for each address. Raises NotPublic, or OSError when no server answers there.
        """
        found = list((resolve or socket.getaddrinfo)(plain_name(host), port, type=socket.SOCK_STREAM))
        if not found or not all(self.is_public(str(each[4][0])) for each in found):
            raise NotPublic("not an address of the public internet")
        last: OSError = NotPublic("no address")
        for family, kind, protocol, _, address in found:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(seconds)
                connection.connect(address)
            except OSError as error:
                connection.close()
                last = error
            else:
                return connection
        raise last

    def _holds(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._special)


def literal(host: str) -> str | None:
    """The address that a host is when it is written as a number, in whichever form: ``127.1``, ``0x7f.1``,
    ``2130706433``, ``0177.0.0.1``, ``[::1]``; None for a name, and for an IPv6 address with a zone.
    """
    name = plain_name(host)
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return None if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None else str(found)
    if not _NUMBERS.fullmatch(name):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(name))  # as every program reads it that connects
    except OSError:
        return None


def plain_name(host: str) -> str:
    """A host in lower case, without brackets, without a dot at its end, in the letters that a look-up would use."""
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").strip().lower()
    return name.removeprefix("[").removesuffix("]").rstrip(".")


def _carried(address: Address) -> Iterator[Address]:
    """IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
    elif address in _SIX_TO_FOUR:
        yield ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield ipaddress.IPv4Address(number >> 64 & 0xFFFFFFFF)
        yield ipaddress.IPv4Address(~number & 0xFFFFFFFF)
    elif number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)


PUBLIC: Final = Table()
"""The table that is used unless a test gives another."""

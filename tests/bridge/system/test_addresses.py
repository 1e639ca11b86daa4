"""The table of public addresses: what is special, what carries something special, and every way to write it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator

import pytest

from bridge.system.addresses import PUBLIC, SPECIAL, NotPublic, Table, literal

ONE_IS_PUBLIC = Table([each for each in SPECIAL if each != "127.0.0.0/8"] + ["127.0.0.1/32"])
"""As if 127.0.0.2 lay in the internet."""


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1",
        "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:0:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "64:ff9b:1:8::808:808", "100::1",
        "100:0:0:1::1", "200::1", "2001::1", "2001:0:808:808:0:0:80ff:fffe", "2001:2::1", "2001:3::1", "2001:4:112::1",
        "2001:10::1", "2001:20::1", "2001:30::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2620:4f:8000::1",
        "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:10.0.0.1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00::1",
        "fe80::1", "fe80::1%eth0", "::1%lo", "2a00:1450::1%eth0", "fec0::1", "ff02::1", "", "kick", "127.1",
    ],
)  # fmt: skip
def test_an_address_with_a_special_purpose_is_not_public(address: str) -> None:
    assert not PUBLIC.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "1.1.1.1", "172.32.0.1", "192.88.98.1", "198.20.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:4860:4860::8888", "2a00:1450::5efe:808:808",
    ],
)  # fmt: skip
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert PUBLIC.is_public(address)


def test_the_table_refuses_whatever_python_calls_not_global_but_the_ways_of_writing_a_public_one() -> None:
    for text in (*ipaddress._IPv4Constants._private_networks, *ipaddress._IPv6Constants._private_networks):  # type: ignore[attr-defined]
        if text == ipaddress.ip_network("::ffff:0:0/96"):
            continue
        assert not PUBLIC.is_public(str(text[0])), text
        assert not PUBLIC.is_public(str(text[-1])), text


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "[::1]",
        "[::ffff:7f00:1]", "[::1%25lo]", "[::1%lo]", "localhost", "LOCALHOST.", "a.localhost", "printer.local",
        "db.internal", "router.lan", "nas.home.arpa", "db", "127.0.0.1.", "１２７.0.0.1", "127。0。0。1", "",
        ".", "[::]",
    ],
)  # fmt: skip
def test_a_host_that_cannot_be_public_is_known_by_how_it_is_written(host: str) -> None:
    assert not PUBLIC.may_be_public(host)


def test_a_number_is_read_as_those_read_it_who_connect() -> None:
    assert [literal(host) for host in ("2130706433", "0x7f.1", "0177.1", "8.8.8.8.", "[2606:4700::1]")] == [
        "127.0.0.1", "127.0.0.1", "127.0.0.1", "8.8.8.8", "2606:4700::1"
    ]  # fmt: skip
    assert [literal(host) for host in ("kick.example", "1.2.3.4.5", "256.1", "[::1%lo]", "08.1.1.1")] == [None] * 5


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.create_server((address, 0)) as listener:
        listener.settimeout(0.2)
        yield listener


def test_nothing_is_connected_unless_every_address_of_the_name_is_public() -> None:
    with listening("127.0.0.1") as inside, listening("127.0.0.2") as outside:
        port = inside.getsockname()[1]
        told: list[str] = ["127.0.0.2", "127.0.0.1"]

        def resolve(host: str, port: int, **_: object) -> list[tuple]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in told]

        with pytest.raises(NotPublic):
            ONE_IS_PUBLIC.reach("two-faced.example", outside.getsockname()[1], 1.0, resolve)
        told[:] = []
        with pytest.raises(NotPublic):
            ONE_IS_PUBLIC.reach("nobody.example", port, 1.0, resolve)
        told[:] = ["127.0.0.1"]
        with pytest.raises(NotPublic):
            ONE_IS_PUBLIC.reach("inside.example", port, 1.0, resolve)
        for listener in (inside, outside):
            with pytest.raises(TimeoutError):
                listener.accept()
        told[:] = ["127.0.0.2"]
        ONE_IS_PUBLIC.reach("outside.example", outside.getsockname()[1], 1.0, resolve).close()
        outside.accept()[0].close()

"""Settings that were found in the working folder, and what they may not have.

A ``bridge.toml`` or ``.env`` that lies where a command happens to be started may be a stranger's: somebody's
repository, an unpacked archive. It may set things; it may not choose where a secret goes that stands elsewhere. A
secret and the address that it is sent to come from the same place, or the address comes from the user: the command
line, the environment, or a file that was named with ``--config`` or ``BRIDGE_CONFIG``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Final

OWN: Final = ""
"""Where a setting comes from that nobody but the user can have given; else the name of a file that was found."""

RECEIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "endpoint_url": ("hf_token",),
    "replicate_url": ("replicate_token",),
    "callback_hosts": ("callback_secret",),
    "data_dir": ("api_key", "api_keys"),
}
"""Settings that say where a secret is sent, with those secrets. In a data folder lies the address of its server, to
which other commands send the key; a callback is signed with its secret."""
ACCOUNTS: Final = ("storage_url", "azure_account_url")
"""Places that are opened with the machine's identity or the cloud's own variables, which no file here can hold."""

_DOORS: Final = frozenset(
    {"host", "also_port", "allowed_hosts", "allowed_origins", "public_url", "api_key", "api_keys", "callback_hosts"}
)
"""Settings that decide who may reach the server and what it reaches."""


def withheld(origins: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Pairs (address, secret) that may not come together; ``origins``: OWN or a file's name, of all that is set.

    An address of ``ACCOUNTS`` stands alone, with "".
    """
    found = {
        (address, secret)
        for address, secrets in RECEIVERS.items()
        for secret in secrets
        if origins.get(address, OWN) != OWN and secret in origins and origins[secret] != origins[address]
    }
    return frozenset(found | {(address, "") for address in ACCOUNTS if origins.get(address, OWN) != OWN})


def sentences(
    origins: Mapping[str, str], sources: Mapping[str, str], folder: Path, kept_back: Set[tuple[str, str]]
) -> Iterator[str]:
    """Name what was found, a line for each file, and what is not sent where."""
    for file in sorted({origin for origin in origins.values() if origin != OWN}):
        names = sorted(name for name, origin in origins.items() if origin == file)
        doors = " It also decides who may reach this server." if _DOORS.intersection(names) else ""
        yield (
            f"{file} was found in {folder} and sets {', '.join(names)}.{doors} If that file is not yours, start "
            "somewhere else."
        )
    for address, secret in sorted(kept_back):
        file = origins[address]
        way = f"set BRIDGE_{address.upper()} in the environment" if file == ".env" else f"type --config {file}"
        if not secret:
            yield (
                f"{address} comes from {file}, which was only found, and would be opened with your account's "
                f"credentials: it is not used, stems stay in the data folder. If it is yours, {way}."
            )
            continue
        source = sources.get(secret, "elsewhere")
        what = "it is not used" if address == "callback_hosts" else f"{secret} is not sent there"
        yield (
            f"{address} comes from {file}, which was only found, and {secret} from {source}: {what}. If it is yours, "
            f"{way}."
        )
